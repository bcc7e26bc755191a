"""Impact search, against a direct computation."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.impact import impact_matrix, impact_search

VECTORS = st.dictionaries(st.integers(0, 9), st.integers(1, 300), max_size=5)


def test_values_by_hand() -> None:
    passages = impact_matrix([{1: 139, 2: 10}, {}, {2: 100}, {3: 7}], 5)

    assert impact_search({2: 2, 1: 1}, passages, 10) == [(2, 200.0), (0, 159.0)]
    assert impact_search({2: 2, 1: 1}, passages, 1) == [(2, 200.0)]
    assert impact_search({}, passages, 10) == []
    assert impact_search({1: 1}, impact_matrix([], 5), 10) == []


@given(VECTORS, st.lists(VECTORS, min_size=1, max_size=8), st.integers(1, 9))
def test_rankings_are_those_of_a_direct_computation(
    query: dict[int, int], passages: list[dict[int, int]], k: int
) -> None:
    found = impact_search(query, impact_matrix(passages, 10), k)

    scores = np.array([sum(weight * passage.get(term, 0) for term, weight in query.items()) for passage in passages])
    order = [int(row) for row in np.argsort(-scores, kind="stable") if scores[row] > 0]
    assert found == [(row, float(scores[row])) for row in order[:k]]
