"""Fusion of ranked lists."""

from collections.abc import Iterable, Sequence

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
