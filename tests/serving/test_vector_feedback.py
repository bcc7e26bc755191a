"""Vector feedback, against values by hand and a direct computation of the rankings."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from serving.vector_feedback import average_feedback, rocchio_feedback
from warehouse.dense import DenseIndex, write_dense

QUERY = np.array([1.0, 0.0], np.float32)
PASSAGES = np.array([[0.0, 1.0], [0.6, 0.8]], np.float32)
SEEDS = st.integers(0, 2**32 - 1)


def unit_vectors(seed: int, count: int, dimension: int = 8) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def test_values_by_hand() -> None:
    assert average_feedback(QUERY, PASSAGES) == pytest.approx([1.6 / 3, 1.8 / 3])
    # 0.4 (1, 0) + 0.6 (0.3, 0.9)
    assert rocchio_feedback(QUERY, PASSAGES) == pytest.approx([0.58, 0.54])
    assert rocchio_feedback(QUERY, PASSAGES, query_weight=1, feedback_weight=0.5) == pytest.approx([1.15, 0.45])


@given(SEEDS)
def test_without_passages_the_query_is_unchanged(seed: int) -> None:
    query, none = unit_vectors(seed, 1)[0], np.empty((0, 8), np.float32)

    for feedback in (average_feedback, rocchio_feedback):
        made = feedback(query, none)
        assert made.dtype == np.float32
        assert made.tobytes() == query.tobytes()


@given(SEEDS, st.integers(1, 10))
def test_the_order_of_the_passages_changes_nothing(seed: int, count: int) -> None:
    query, *passages = unit_vectors(seed, count + 1)

    for feedback in (average_feedback, rocchio_feedback):
        backwards = feedback(query, np.stack(passages[::-1]))
        assert backwards == pytest.approx(feedback(query, np.stack(passages)), abs=1e-6)


@given(SEEDS, st.integers(1, 10))
def test_average_is_rocchio_with_the_weights_of_the_counts(seed: int, count: int) -> None:
    query, *rest = unit_vectors(seed, count + 1)
    passages = np.stack(rest)
    weights = {"query_weight": 1 / (count + 1), "feedback_weight": count / (count + 1)}

    assert average_feedback(query, passages) == pytest.approx(rocchio_feedback(query, passages, **weights), abs=1e-6)


@pytest.mark.parametrize("depth", [0, 1, 3, 10])
def test_rankings_are_those_of_a_direct_computation(tmp_path: Path, depth: int) -> None:
    stored, query = unit_vectors(7, 50, 16), unit_vectors(11, 1, 16)
    write_dense(tmp_path / "dense.faiss", stored)
    index = DenseIndex(tmp_path / "dense.faiss")
    first = index.search(query, 10).numbers[0]
    feedback = index.vectors(first[:depth])

    found = index.search(rocchio_feedback(query[0], feedback)[np.newaxis], 50).numbers[0]
    averaged = index.search(average_feedback(query[0], feedback)[np.newaxis], 50).numbers[0]

    wide, asked = stored.astype(np.float64), query[0].astype(np.float64)
    best = wide[np.argsort(-(wide @ asked))[:depth]]
    mean = sum(best, start=np.zeros(16)) / max(depth, 1)
    assert found.tolist() == np.argsort(-(wide @ (0.4 * asked + 0.6 * mean))).tolist()
    assert averaged.tolist() == np.argsort(-(wide @ (asked + sum(best, start=np.zeros(16))))).tolist()
    assert (found.tolist()[:10] == first.tolist()) or depth
