"""Fusion of ranked lists."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from schemas.errors import NightjarError, UnknownName

PARTS = ("dense", "lexical", "sparse")
FUSIONS = ("rrf", "min-max")

Item = TypeVar("Item", int, str)

# The constant of the paper: it keeps one list's first ranks from deciding alone.
RANK_CONSTANT = 60


def reciprocal_rank_fusion(rankings: Iterable[Sequence[int]]) -> list[tuple[int, float]]:
    """Items of several ranked lists, best first, each with the sum of 1 / (60 + rank) over the lists that have it.

    Cormack, Clarke and Büttcher, SIGIR 2009. Equal sums stand in the order of the items.

    >>> [item for item, _ in reciprocal_rank_fusion([[1, 2], [2, 3]])]
    [2, 1, 3]
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (RANK_CONSTANT + rank)
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))


def weighted_min_max(
    rankings: Sequence[Sequence[tuple[Item, float]]], weights: Sequence[float]
) -> list[tuple[Item, float]]:
    """Items of several scored lists for one query, best first, each with its weighted sum of scaled scores.

    Each list's scores are scaled to 0 for its lowest and 1 for its highest; a list in which all scores are equal gives
    0, and so does one that an item is missing from. With two weights of 0.5 it is PromptReps' hybrid (arXiv 2404.18424,
    which fuses with ranx's min-max and weighted sum). Equal sums stand in the order of the items.

    >>> weighted_min_max([[("a", 10), ("b", 0)], [("b", 4), ("c", 2)]], [0.5, 0.5])
    [('a', 0.5), ('b', 0.5), ('c', 0.0)]

    Raises:
        ValueError: lists and weights differ in number.
    """
    sums: dict[Item, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        lowest = min((score for _, score in ranking), default=0.0)
        spread = max((score for _, score in ranking), default=0.0) - lowest
        for item, score in ranking:
            scaled = (score - lowest) / spread if spread else 0.0
            sums[item] = sums.get(item, 0.0) + weight * scaled
    return sorted(sums.items(), key=lambda scored: (-scored[1], scored[0]))


@dataclass(frozen=True)
class Fusion:
    """How a hybrid search makes one ranking of several.

    Attributes:
        parts: the searches whose rankings are fused, two or three of dense, lexical and sparse.
        method: rrf (reciprocal ranks) or min-max (weighted sums of scaled scores).
        weights: of the parts, for min-max only; equal ones when left out.

    Raises:
        UnknownName: no such part or method.
        NightjarError: fewer than two parts, one named twice, or weights that do not fit.
    """

    parts: tuple[str, ...] = ("dense", "lexical")
    method: str = "rrf"
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for part in self.parts:
            _refuse_unknown("part", part, PARTS)
        _refuse_unknown("fusion", self.method, FUSIONS)
        if len(self.parts) < 2 or len(set(self.parts)) < len(self.parts):
            raise NightjarError(
                f"a hybrid search fuses at least two different parts, not {', '.join(self.parts) or 'none'}",
                remedy="Name two or three of dense, lexical and sparse, or ask for one of them as the mode",
            )
        if self.weights and self.method == "rrf":
            raise NightjarError("reciprocal rank fusion takes no weights", remedy="Ask for min-max, or leave them out")
        if self.weights and (len(self.weights) != len(self.parts) or min(self.weights) < 0):
            raise NightjarError(
                f"{len(self.weights)} weights for {len(self.parts)} parts", remedy="Give each part one, 0 or more"
            )

    def __call__(self, rankings: Sequence[Sequence[tuple[int, float]]]) -> list[tuple[int, float]]:
        """One ranking of the parts' own, which come in the order of `parts`."""
        if self.method == "rrf":
            return reciprocal_rank_fusion([[item for item, _ in ranking] for ranking in rankings])
        return weighted_min_max(rankings, self.weights or [1 / len(self.parts)] * len(self.parts))


def _refuse_unknown(kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise UnknownName(kind, name, known)
