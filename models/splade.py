"""sentence-transformers' sparse encoders inside this process: SPLADE and its kin (arXiv 2109.10086)."""

import json
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.batches import in_batches
from models.encoder import Side, SparselyEncoded, SparseVector
from models.environment import prepare_environment
from models.folders import model_id
from models.sparse_vector import MostTerms, heaviest
from models.tokens import TokenCounter
from schemas.errors import ModelError
from schemas.hashing import fingerprint

if TYPE_CHECKING:
    from torch import Tensor

PRECISION = "float32"


def splade_id(folder: Path, most: MostTerms) -> str:
    """Fingerprint of an encoder: its folder (weights, tokenizer, pooling, prompts), terms, precision and library."""
    library = f"sentence-transformers {version('sentence-transformers')}"
    terms = [most.passage, most.query]
    return fingerprint({"model": model_id(folder), "terms": terms, "precision": PRECISION, "library": library})


class SpladeEncoder:
    """A sparse encoder that sentence-transformers opens, in float32; prompts and tasks of the sides are its own.

    Args:
        folder: of the model.
        batch_size: texts per forward pass.
        most: terms of a vector, the heaviest.

    Raises:
        ModelError: the folder holds no model that sentence-transformers opens as a sparse encoder.
    """

    def __init__(self, folder: Path, batch_size: int, most: MostTerms) -> None:
        prepare_environment()
        from sentence_transformers import SparseEncoder

        _refuse_untrained(folder)
        try:
            self._model = SparseEncoder(str(folder), local_files_only=True)
        except Exception as error:  # the libraries underneath raise types of their own
            raise ModelError(f"sentence-transformers cannot open it: {error}", where=str(folder)) from error
        self._folder = folder
        self._batch_size = batch_size
        self._most = most
        self._counter = TokenCounter(folder, self._model.max_seq_length)
        self.encoder_id = splade_id(folder, most)
        self.vocabulary = int(self._model.encode(["vocabulary"]).shape[1])  # known once something was encoded

    def encode(self, texts: Sequence[str]) -> SparselyEncoded:
        """See `SparseEncoder.encode`."""
        return self._encode(texts, "passage", self._model.encode_document)

    def encode_queries(self, texts: Sequence[str]) -> SparselyEncoded:
        """See `SparseEncoder.encode_queries`."""
        return self._encode(texts, "query", self._model.encode_query)

    def _encode(self, texts: Sequence[str], side: Side, encode: "Callable[..., Tensor]") -> SparselyEncoded:
        counts = self._counter.count(texts)

        def made(places: list[int]) -> "Tensor":
            batch = [texts[place] for place in places]
            return encode(batch, batch_size=len(batch), show_progress_bar=False, save_to_cpu=True)

        vectors: dict[int, SparseVector] = {}
        try:
            for places, rows in in_batches(counts, self._batch_size, made, self._model.device.type):
                heavy = (heaviest(vector, self._most.of(side)) for vector in _rows(rows))
                vectors.update(zip(places, heavy, strict=True))
        except RuntimeError as error:
            raise ModelError(
                f"the model fails: {' '.join(str(error).split())[:300]}",
                where=str(self._folder),
                remedy="If memory is short, set a smaller batch_size under [sparse_encoder]",
            ) from error
        return SparselyEncoded([vectors[place] for place in range(len(texts))], tokens=sum(counts))


def _rows(made: "Tensor") -> Iterator[SparseVector]:
    """Rows of a sparse matrix; those of a model with other than positive weights lose the others."""
    stored = made.coalesce()
    (rows, terms), weights = stored.indices().numpy(), stored.values().numpy()
    positive = weights > 0
    rows, terms, weights = rows[positive], terms[positive].astype(np.int32), weights[positive].astype(np.float32)
    starts = np.searchsorted(rows, np.arange(stored.shape[0] + 1))
    for start, end in pairwise(starts.tolist()):
        yield SparseVector(terms[start:end], weights[start:end])


def _refuse_untrained(folder: Path) -> None:
    """See to it that a folder holds a sparse encoder: of any other model the library makes one, with random weights.

    Raises:
        ModelError: it holds neither a saved sparse encoder nor a masked language model.
    """
    saved, plain = folder / "config_sentence_transformers.json", folder / "config.json"
    if saved.is_file():
        sparse = json.loads(saved.read_text()).get("model_type") == "SparseEncoder"
    else:
        architectures = json.loads(plain.read_text()).get("architectures") or [] if plain.is_file() else []
        sparse = any(name.endswith("ForMaskedLM") for name in architectures)
    if not sparse:
        raise ModelError(
            "holds no sparse encoder: neither saved as one, nor a masked language model",
            where=str(folder),
            remedy="Choose another model, or another engine, under [sparse_encoder]",
        )
