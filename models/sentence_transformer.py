"""sentence-transformers inside this process."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from models.encoder import Encoded
from models.environment import prepare_environment
from models.folders import model_id
from models.tokens import TokenCounter
from schemas.errors import ModelError
from schemas.hashing import fingerprint

PRECISION = "float32"


def sentence_transformer_id(folder: Path) -> str:
    """Fingerprint of an encoder: its folder (weights, tokenizer, pooling, prompts), precision and library."""
    library = f"sentence-transformers {version('sentence-transformers')}"
    return fingerprint({"model": model_id(folder), "precision": PRECISION, "library": library})


class SentenceTransformerEncoder:
    """A sentence-transformers model in float32.

    Args:
        folder: of the model.
        batch_size: texts per forward pass.

    Raises:
        ModelError: the folder holds no model that sentence-transformers opens.
    """

    def __init__(self, folder: Path, batch_size: int) -> None:
        prepare_environment()
        from sentence_transformers import SentenceTransformer

        try:
            self._model = SentenceTransformer(str(folder), local_files_only=True)
        except Exception as error:  # the libraries underneath raise types of their own
            raise ModelError(f"sentence-transformers cannot open it: {error}", where=str(folder)) from error
        self._batch_size = batch_size
        self._counter = TokenCounter(folder, self._model.max_seq_length)
        self.encoder_id = sentence_transformer_id(folder)
        self.dimension = int(self._model.get_embedding_dimension() or 0)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """See `Encoder.encode`."""
        if not texts:
            return Encoded(np.empty((0, self.dimension), dtype=np.float32), tokens=0)
        vectors = self._model.encode(
            list(texts), batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return Encoded(np.asarray(vectors, dtype=np.float32), tokens=sum(self._counter.count(texts)))

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """See `Encoder.encode_queries`."""
        return self.encode(texts)
