"""Sparse vectors keep what is above 0, and the heaviest of it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.sparse_vector import EMPTY, MostTerms, heaviest, inner_product, sparse_vector, unit

WEIGHTS = st.lists(st.floats(0, 8, width=32), min_size=1, max_size=40)
SAME_LENGTH = st.integers(1, 40).flatmap(
    lambda size: st.tuples(*[st.lists(st.floats(0, 8, width=32), min_size=size, max_size=size)] * 2)
)


def test_terms_ascend_and_weights_follow() -> None:
    vector = sparse_vector([0.0, 2.5, -1.0, 0.5])
    assert (vector.terms.tolist(), vector.weights.tolist()) == ([1, 3], [2.5, 0.5])
    assert (vector.terms.dtype, vector.weights.dtype) == (np.int32, np.float32)


def test_of_equal_weights_the_lower_ids_stay() -> None:
    assert sparse_vector([1.0, 3.0, 1.0, 1.0], most=2).terms.tolist() == [0, 1]


@given(WEIGHTS, st.integers(1, 45))
def test_the_window_keeps_no_more_than_it_may_and_nothing_lighter_than_what_it_drops(
    weights: list[float], most: int
) -> None:
    whole, kept = sparse_vector(weights), sparse_vector(weights, most)
    assert len(kept.terms) == min(most, len(whole.terms))
    assert (np.diff(kept.terms) > 0).all()
    assert (kept.weights > 0).all()
    dropped = np.setdiff1d(whole.terms, kept.terms)
    row = np.asarray(weights, np.float32)
    assert all(row[dropped] <= kept.weights.min(initial=np.inf))
    if len(whole.terms) <= most:
        assert heaviest(whole, most) is whole


@given(SAME_LENGTH)
def test_the_inner_product_is_that_of_the_whole_vocabulary(pair: tuple[list[float], list[float]]) -> None:
    one, other = (np.asarray(weights, np.float32) for weights in pair)
    expected = float(one.astype(np.float64) @ other.astype(np.float64))
    assert np.isclose(inner_product(sparse_vector(one), sparse_vector(other)), expected)


def test_a_unit_vector_has_norm_one_and_an_empty_one_stays_empty() -> None:
    scaled = unit(sparse_vector([3.0, 0.0, 4.0]))
    assert np.allclose(scaled.weights, [0.6, 0.8])
    assert unit(EMPTY) is EMPTY
    assert inner_product(EMPTY, scaled) == 0


def test_each_side_has_its_own_window() -> None:
    most = MostTerms(512, 256)
    assert (most.of("passage"), most.of("query")) == (512, 256)
