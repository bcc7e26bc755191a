"""The ablation's reference: feedback by hand, and which rankings count as the same."""

import numpy as np
import pytest

from bench.ablation import differing, feedback

QUERIES = np.array([[1.0, 0.0]], np.float32)
PASSAGES = np.array([[0.0, 1.0], [0.0, -1.0], [1.0, 1.0]], np.float32)
FIRST = np.array([[2, 0, 1]])


@pytest.mark.parametrize(
    ("method", "depth", "moved"),
    [
        ("average", 1, [1.0, 0.5]),
        ("average", 2, [2 / 3, 2 / 3]),
        ("rocchio", 1, [1.0, 0.6]),
        ("rocchio", 3, [0.4 + 0.2, 0.2]),
    ],
)
def test_feedback_by_hand(method: str, depth: int, moved: list[float]) -> None:
    assert feedback(QUERIES, PASSAGES, FIRST, method, depth)[0] == pytest.approx(moved)


def test_only_passages_of_one_score_may_change_places() -> None:
    scores = np.array([[0.5, 0.9, 0.5, 0.1]], np.float32)
    ids = ["a", "b", "c", "d"]
    assert differing(scores, ids, [["b", "a", "c", "d"]]) == 0
    assert differing(scores, ids, [["b", "c", "a", "d"]]) == 0
    assert differing(scores, ids, [["a", "b", "c", "d"]]) == 1
    assert differing(scores, ids, [["b", "a", "c"]]) == 1, "one is missing"
