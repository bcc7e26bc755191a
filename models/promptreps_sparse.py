"""PromptReps' impacts as learned sparse vectors (arXiv 2404.18424)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from models.encoder import Side, SparselyEncoded, SparseVector
from models.impacts import MOST_IMPACTS, SCALE, VOCABULARY_IMPACTS
from models.promptreps import PromptRepsEncoder, promptreps_id
from models.sparse_vector import MostTerms, heaviest
from schemas.hashing import fingerprint


def promptreps_sparse_id(folder: Path, most: MostTerms) -> str:
    """Fingerprint of an encoder: PromptReps' own, and how impacts are made of logits."""
    impacts = [MOST_IMPACTS, SCALE, VOCABULARY_IMPACTS]
    return fingerprint({"promptreps": promptreps_id(folder), "impacts": impacts, "terms": [most.passage, most.query]})


class PromptRepsSparseEncoder:
    """Whole weights of words of the text, from what a model would say when it is asked for one word.

    Args:
        folder: of the model: safetensors, tokenizer, chat template.
        batch_size: texts per forward pass.
        most: terms of a vector, the heaviest.

    Raises:
        ModelError: transformers does not open the folder, or its chat template is missing or does not fit.
    """

    def __init__(self, folder: Path, batch_size: int, most: MostTerms) -> None:
        self._model = PromptRepsEncoder(folder, batch_size)
        self._most = most
        self.encoder_id = promptreps_sparse_id(folder, most)

    @property
    def vocabulary(self) -> int:
        """See `SparseEncoder.vocabulary`."""
        return self._model.vocabulary

    def encode(self, texts: Sequence[str]) -> SparselyEncoded:
        """See `SparseEncoder.encode`."""
        return self._encode(texts, "passage")

    def encode_queries(self, texts: Sequence[str]) -> SparselyEncoded:
        """See `SparseEncoder.encode_queries`."""
        return self._encode(texts, "query")

    def _encode(self, texts: Sequence[str], side: Side) -> SparselyEncoded:
        made = self._model.represent(texts, side)
        return SparselyEncoded(
            [heaviest(impact_vector(each), self._most.of(side)) for each in made.impacts], made.tokens
        )


def impact_vector(impacts: Mapping[int, int]) -> SparseVector:
    """PromptReps' whole weights by vocabulary id as a sparse vector."""
    terms = sorted(impacts)
    return SparseVector(np.array(terms, np.int32), np.array([impacts[term] for term in terms], np.float32))
