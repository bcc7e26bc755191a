"""What all sparse encoders made of causal language models share: the loop over texts."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.causal import CausalModel
from models.encoder import Side, SparselyEncoded
from models.sparse_vector import EMPTY, MostTerms, sparse_vector

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Reading:
    """How a model reads a text.

    Attributes:
        ids: all of its input.
        text: the text's own ids, with which the input ends.
    """

    ids: list[int]
    text: list[int]


class CausalSparseEncoder(ABC):
    """A sparse encoder of a causal language model. A leaf says how a text is read and what its terms weigh.

    Args:
        model: that reads.
        encoder_id: fingerprint of it and of all that the leaf adds.
        most: terms of a vector, the heaviest.
    """

    def __init__(self, model: CausalModel, encoder_id: str, most: MostTerms) -> None:
        self._model = model
        self._most = most
        self.encoder_id = encoder_id

    @property
    def vocabulary(self) -> int:
        """See `SparseEncoder.vocabulary`."""
        return self._model.vocabulary

    @abstractmethod
    def _read(self, text: str) -> Reading:
        """How the text is read."""

    @abstractmethod
    def _weights(self, readings: Sequence[Reading]) -> "Tensor":
        """Weights of every id of the vocabulary: n by vocabulary, none below 0."""

    def encode(self, texts: Sequence[str]) -> SparselyEncoded:
        """See `SparseEncoder.encode`."""
        return self._encode(texts, "passage")

    def encode_queries(self, texts: Sequence[str]) -> SparselyEncoded:
        """See `SparseEncoder.encode_queries`."""
        return self._encode(texts, "query")

    def _encode(self, texts: Sequence[str], side: Side) -> SparselyEncoded:
        """Vectors in the order of the texts; one without a token has no term and is not read."""
        readings = {place: self._read(text) for place, text in enumerate(texts)}
        said = [place for place, reading in readings.items() if reading.text]
        vectors = [EMPTY] * len(texts)
        for batch in self._model.batches([readings[place].ids for place in said]):
            places = [said[number] for number in batch]
            weights = self._weights([readings[place] for place in places]).float().cpu().numpy()
            for place, row in zip(places, weights, strict=True):
                vectors[place] = sparse_vector(row, self._most.of(side))
        return SparselyEncoded(vectors, sum(len(readings[place].ids) for place in said))
