"""The texts of an index version by number, over the segments they lie in."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Found:
    """Texts found for q queries, best first.

    Attributes:
        scores: q by at most k.
        numbers: of the texts, q by at most k.
    """

    scores: NDArray[np.float32]
    numbers: NDArray[np.int64]

    def each(self) -> "list[Found]":
        """What each query found; a place without a text (number -1) is left out."""
        held = self.numbers >= 0
        return [
            Found(self.scores[row, held[row]][np.newaxis], self.numbers[row, held[row]][np.newaxis])
            for row in range(len(self.numbers))
        ]


@dataclass(frozen=True)
class Texts:
    """The texts of an index version: those of a first segment, then those of later ones, which hold what changed.

    A text that changed or is gone is dead where it was before; nothing finds it there.

    Attributes:
        starts: int64, number of each segment's first text, then how many numbers there are.
        alive: bool, one a number.
        rank: int64, one a number: place among the sorted text hashes, which equal scores follow.
    """

    starts: NDArray[np.int64]
    alive: NDArray[np.bool_]
    rank: NDArray[np.int64]

    @classmethod
    def whole(cls, count: int) -> "Texts":
        """Texts of one segment, sorted by their hashes, all alive."""
        return cls(np.array([0, count], np.int64), np.ones(count, np.bool_), np.arange(count, dtype=np.int64))

    @cached_property
    def living(self) -> int:
        """How many are alive."""
        return int(self.alive.sum())

    @property
    def all_alive(self) -> bool:
        """Whether none is dead."""
        return self.living == len(self.alive)

    @cached_property
    def alive_by_segment(self) -> list[NDArray[np.bool_]]:
        """The part of `alive` of each segment."""
        return np.split(self.alive, self.starts[1:-1])

    def best(self, found: Sequence[Found], k: int) -> Found:
        """The k best of what each segment found, numbered through.

        Args:
            found: of each segment, with its own numbers from 0; -1 where there is no text.

        Returns:
            q by at most k; -1 with the least score there is where there are fewer texts.
        """
        if len(found) == 1:
            return found[0]
        pairs = zip(found, self.starts[:-1], strict=True)
        numbers = np.hstack([np.where(part.numbers < 0, -1, part.numbers + start) for part, start in pairs])
        scores = np.where(numbers < 0, -np.inf, np.hstack([part.scores for part in found])).astype(np.float32)
        order = np.lexsort((self.rank[numbers], -scores), axis=-1)[:, :k]
        return Found(np.take_along_axis(scores, order, axis=1), np.take_along_axis(numbers, order, axis=1))
