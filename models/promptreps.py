"""PromptReps: any causal language model as an encoder, without training (arXiv 2404.18424).

The model is asked for one word that represents a text. Where it is about to say it, the last layer's state is the
dense vector, and what it would say is the sparse one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.causal import TEXT_TOKENS, CausalModel
from models.dense_vector import cut_dimension, unit_rows
from models.encoder import Encoded, Side
from models.folders import model_id
from models.impacts import content_words, impacts, token_ids
from models.one_word_prompt import ANSWER, DATE, SYSTEM, USER, OneWordPrompt
from models.precision import Precision
from schemas.hashing import fingerprint

if TYPE_CHECKING:
    from torch import Tensor

POOLING = "last token of the last layer, norm 1"


@dataclass(frozen=True)
class Represented(Encoded):
    """What PromptReps made of n texts.

    Attributes:
        impacts: for each text, whole weights above 0 by vocabulary id, largest first.
    """

    impacts: list[dict[int, int]]


@dataclass(frozen=True)
class _Pass:
    """One forward pass: places of its texts, their unit vectors and logits, a row for each, and tokens read."""

    places: list[int]
    vectors: NDArray[np.float32]
    logits: "Tensor"
    tokens: int


def promptreps_id(folder: Path, precision: Precision = "float32", dimension: int | None = None) -> str:
    """Fingerprint of an encoder: its folder (weights, tokenizer, chat template), prompt, pooling, precision, length."""
    return fingerprint(
        {
            "model": model_id(folder),
            "prompt": [SYSTEM, USER, ANSWER, DATE.isoformat()],
            "pooling": POOLING,
            "text_tokens": TEXT_TOKENS,
            "precision": precision,
            "dimension": dimension,
            "library": f"transformers {version('transformers')}",
        }
    )


class PromptRepsEncoder:
    """A causal language model with a chat template, on a GPU where there is one.

    Args:
        folder: of the model: safetensors, tokenizer, chat template.
        batch_size: texts per forward pass.
        precision: that it runs in.
        dimension: of the vectors; the model's own when left out.

    Raises:
        ModelError: transformers does not open the folder, its chat template is missing or does not fit, or the vectors
            are shorter than is asked for.
    """

    def __init__(
        self, folder: Path, batch_size: int, precision: Precision = "float32", dimension: int | None = None
    ) -> None:
        self._model = CausalModel(folder, batch_size, precision)
        tokenizer = self._model.tokenizer
        self._prompts = {side: OneWordPrompt(tokenizer, side, folder) for side in ("passage", "query")}
        self._budget = self._model.budget(max(prompt.size for prompt in self._prompts.values()))
        self.encoder_id = promptreps_id(folder, precision, dimension)
        self.dimension = cut_dimension(dimension, self._model.dimension, folder)

    @property
    def vocabulary(self) -> int:
        """Number of vocabulary ids that impacts can have."""
        return self._model.vocabulary

    def encode(self, texts: Sequence[str]) -> Encoded:
        """See `Encoder.encode`."""
        return self._encode(texts, "passage")

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """See `Encoder.encode_queries`."""
        return self._encode(texts, "query")

    def represent(self, texts: Sequence[str], side: Side) -> Represented:
        """Dense and sparse vectors of texts, from the same forward passes, in the order of the texts.

        The sparse ones hold words of the whole text, even of one that is too long to be read to its end.

        Raises:
            ModelError: the model fails.
        """
        vectors = self._empty(texts)
        sparse: list[dict[int, int]] = [{} for _ in texts]
        tokens = 0
        for each in self._passes(texts, side):
            vectors[each.places] = each.vectors
            for place, logits in zip(each.places, each.logits.float().cpu().numpy(), strict=True):
                sparse[place] = impacts(logits, token_ids(content_words(texts[place]), self._model.ids))
            tokens += each.tokens
        return Represented(vectors, tokens, sparse)

    def _encode(self, texts: Sequence[str], side: Side) -> Encoded:
        vectors, tokens = self._empty(texts), 0
        for each in self._passes(texts, side):
            vectors[each.places] = each.vectors
            tokens += each.tokens
        return Encoded(vectors, tokens)

    def _empty(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.empty((len(texts), self.dimension), np.float32)

    def _passes(self, texts: Sequence[str], side: Side) -> Iterator[_Pass]:
        sequences = [self._prompts[side].encode(text, self._budget) for text in texts]
        for places in self._model.batches(sequences):
            batch = [sequences[place] for place in places]
            states, logits = self._model.ends(batch)
            vectors = unit_rows(states.float().cpu().numpy(), self.dimension)
            yield _Pass(places, vectors, logits, sum(map(len, batch)))
