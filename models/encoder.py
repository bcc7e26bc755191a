"""Encoders: texts to unit vectors, and to sparse vectors over a vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Side = Literal["passage", "query"]


@dataclass(frozen=True)
class Encoded:
    """What an encoder made of n texts.

    Attributes:
        vectors: float32, n by dimension, every row of norm 1.
        tokens: tokens it read.
    """

    vectors: NDArray[np.float32]
    tokens: int


class Encoder(Protocol):
    """Anything that turns texts into vectors whose inner product is their likeness."""

    @property
    def encoder_id(self) -> str:
        """Fingerprint of weights, pooling, prompt and precision."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Encoded:
        """One vector per text, in the order of the texts. A text beyond the model's window is cut.

        Raises:
            ModelError: the encoder fails.
        """
        ...

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """As `encode`, for texts that are searched with: some encoders prompt a query in other words than a passage.

        Raises:
            ModelError: the encoder fails.
        """
        ...


@dataclass(frozen=True)
class SparseVector:
    """A learned sparse vector.

    Attributes:
        terms: int32, vocabulary ids in ascending order.
        weights: float32, of the terms, above 0.
    """

    terms: NDArray[np.int32]
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class SparselyEncoded:
    """What a sparse encoder made of n texts.

    Attributes:
        vectors: one per text, in the order of the texts.
        tokens: tokens it read.
    """

    vectors: list[SparseVector]
    tokens: int


class SparseEncoder(Protocol):
    """Anything that turns texts into sparse vectors over a vocabulary whose inner product is their likeness."""

    @property
    def encoder_id(self) -> str:
        """Fingerprint of weights, pooling, prompt and precision."""
        ...

    @property
    def vocabulary(self) -> int:
        """Number of vocabulary ids that terms can have."""
        ...

    def encode(self, texts: Sequence[str]) -> SparselyEncoded:
        """One vector per text, in the order of the texts. A text beyond the model's window is cut.

        Raises:
            ModelError: the encoder fails.
        """
        ...

    def encode_queries(self, texts: Sequence[str]) -> SparselyEncoded:
        """As `encode`, for texts that are searched with.

        Raises:
            ModelError: the encoder fails.
        """
        ...
