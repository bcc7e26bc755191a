"""Encoders: texts to unit vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


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
