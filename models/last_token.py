"""Any causal language model as a dense encoder that ends its reading with the end-of-sequence token.

As RepLLaMA reads (Ma, Wang, Yang, Wei and Lin, arXiv 2310.08319): "query: ..." or "passage: ...", the end-of-sequence
token, and the last layer's state there. Models that were trained so find well; others hardly.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from models.causal import TEXT_TOKENS, CausalModel
from models.dense_vector import cut_dimension, unit_rows
from models.encoder import Encoded, Side
from models.folders import model_id
from schemas.corpus import EncoderSettings
from schemas.errors import ModelError
from schemas.hashing import fingerprint

POOLING = "end-of-sequence token, last layer, norm 1"
PROMPTS: dict[Side, str] = {"passage": "passage: ", "query": "query: "}


def last_token_id(folder: Path, settings: EncoderSettings) -> str:
    """Fingerprint of an encoder: its folder (weights and tokenizer), prompts, pooling, dimension and precision."""
    return fingerprint(
        {
            "model": model_id(folder),
            "prompts": prompts_of(settings),
            "pooling": POOLING,
            "text_tokens": TEXT_TOKENS,
            "dimension": settings.dimension,
            "precision": settings.precision,
            "library": f"transformers {version('transformers')}",
        }
    )


def prompts_of(settings: EncoderSettings) -> dict[Side, str]:
    """What stands before the texts of either side."""
    given: dict[Side, str | None] = {"passage": settings.passage_prompt, "query": settings.query_prompt}
    return {side: PROMPTS[side] if prompt is None else prompt for side, prompt in given.items()}


class LastTokenEncoder:
    """A causal language model that reads a prompt, a text, and the end of the sequence.

    Args:
        folder: of the model: safetensors and tokenizer.

    Raises:
        ModelError: transformers does not open the folder, its tokenizer knows no end of a sequence, the window is too
            short for the prompt, or the vectors are shorter than is asked for.
    """

    def __init__(self, folder: Path, settings: EncoderSettings) -> None:
        model = CausalModel(folder, settings.batch_size, settings.precision)
        self._end = model.tokenizer.eos_token_id
        if self._end is None:
            raise ModelError("its tokenizer has no end-of-sequence token", where=str(folder))
        self._model = model
        self._prompts = {side: [*model.beginning(), *model.ids(text)] for side, text in prompts_of(settings).items()}
        self._budget = model.budget(max(map(len, self._prompts.values())) + 1)
        self.dimension = cut_dimension(settings.dimension, model.dimension, folder)
        self.encoder_id = last_token_id(folder, settings)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """See `Encoder.encode`."""
        return self._encode(texts, "passage")

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """See `Encoder.encode_queries`."""
        return self._encode(texts, "query")

    def _encode(self, texts: Sequence[str], side: Side) -> Encoded:
        sequences = [[*self._prompts[side], *self._model.text_ids(text, self._budget), self._end] for text in texts]
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for places in self._model.batches(sequences):
            states, _ = self._model.ends([sequences[place] for place in places])
            vectors[places] = unit_rows(states.float().cpu().numpy(), self.dimension)
        return Encoded(vectors, sum(map(len, sequences)))
