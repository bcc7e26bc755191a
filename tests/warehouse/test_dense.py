"""The dense index: what is stored comes back, and what cannot be stored is noticed."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas.errors import BundleError
from warehouse.dense import DenseIndex, LateVectors, as_matrix, vectors_of, write_dense
from warehouse.manifest import Parameters
from warehouse.segments import Texts

VECTORS = np.array([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]], np.float32)


@pytest.fixture
def index(tmp_path: Path) -> DenseIndex:
    write_dense(tmp_path / "dense.faiss", VECTORS)
    return DenseIndex(tmp_path / "dense.faiss")


def test_vectors_come_back_as_they_were(index: DenseIndex) -> None:
    assert (index.size, index.dimension) == (3, 2)
    assert np.array_equal(index.vectors(np.array([2, 0])), VECTORS[[2, 0]])


def test_the_largest_inner_products_come_first(index: DenseIndex) -> None:
    found = index.search(np.array([[1.0, 0.0], [0.0, 1.0]], np.float32), 2)

    assert found.numbers.tolist() == [[1, 0], [2, 0]]
    assert found.scores.tolist() == [pytest.approx([1.0, 0.6]), pytest.approx([1.0, 0.8])]


def test_no_more_is_found_than_there_is(index: DenseIndex) -> None:
    assert index.search(VECTORS[:1], 100).numbers.shape == (1, 3)


@given(
    st.integers(1, 12).flatmap(
        lambda texts: st.tuples(
            st.just(texts),
            st.lists(st.integers(0, texts - 1), max_size=20),
            st.lists(st.booleans(), min_size=texts, max_size=texts).filter(any),
        )
    ),
    st.integers(1, 15),
)
@settings(deadline=None, max_examples=40)
def test_a_text_is_as_near_as_the_nearest_of_its_vectors(layout: tuple[int, list[int], list[bool]], k: int) -> None:
    count, beside, living = layout
    random = np.random.default_rng(count + len(beside))
    vectors, late, asked = (random.standard_normal((rows, 4), np.float32) for rows in (count, len(beside), 3))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "dense.faiss"
        write_dense(path, vectors, late=LateVectors(np.sort(np.array(beside, np.int64)), late))
        alive = np.array(living)
        index = DenseIndex(path, texts=replace(Texts.whole(count), alive=alive))
        found = index.search(asked, k)
        assert index.size == count
        assert np.array_equal(index.vectors(np.arange(count)), vectors)

    scores = asked @ vectors.T
    for number, vector in zip(sorted(beside), late, strict=True):
        scores[:, number] = np.maximum(scores[:, number], asked @ vector)
    scores[:, ~alive] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, : min(k, alive.sum())]
    assert np.array_equal(found.numbers, best)
    assert found.scores == pytest.approx(np.take_along_axis(scores, best, axis=1), abs=1e-5)


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_an_approximate_index_finds_texts_by_vectors_beside_them(tmp_path: Path, kind: Literal["ivf", "hnsw"]) -> None:
    random, count = np.random.default_rng(3), 2_000
    vectors, late = (random.standard_normal((rows, 8), np.float32) for rows in (count, 3 * count))
    vectors, late = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (vectors, late))
    made = write_dense(
        tmp_path / "dense.faiss", vectors, Parameters(dense=kind), LateVectors(np.repeat(np.arange(count), 3), late)
    )
    index = DenseIndex(tmp_path / "dense.faiss")
    assert made.kind == kind
    found = index.search(late[:300], 5)
    assert np.mean(found.numbers[:, 0] == np.repeat(np.arange(100), 3)) > 0.95
    assert all(len(set(row)) == 5 for row in found.numbers.tolist())
    assert np.array_equal(index.late.vectors, late)


@pytest.mark.parametrize("rows", [1, 100_000])
def test_a_full_disk_is_noticed_however_little_is_written(rows: int) -> None:
    with pytest.raises(OSError, match="No space left on device"):
        write_dense(Path("/dev/full"), np.ones((rows, 4), np.float32))


def test_a_file_that_faiss_cannot_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dense.faiss").write_bytes(b"not an index")

    with pytest.raises(BundleError, match=r"dense\.faiss: FAISS cannot read the index"):
        DenseIndex(tmp_path / "dense.faiss")


def test_vectors_stand_in_the_order_of_the_texts() -> None:
    rows = pa.table({"text_hash": ["c", "a", "x", "b"], "vector": [[3.0], [1.0], [9.0], [2.0]]})

    assert vectors_of(pa.array(["a", "b", "c"]), rows).tolist() == [[1.0], [2.0], [3.0]]


@pytest.mark.parametrize("lists", [[[1.0], [1.0, 2.0]], [[]], []])
def test_lists_of_no_one_length_are_refused(lists: list[list[float]]) -> None:
    with pytest.raises(BundleError, match="lengths"):
        as_matrix(pa.table({"vector": pa.array(lists, pa.list_(pa.float32()))})["vector"])


def around_topics(count: int) -> NDArray[np.float32]:
    """Unit vectors near one of twenty topics each."""
    random = np.random.default_rng(7)
    topics = random.standard_normal((20, 16)).astype(np.float32)
    vectors = topics[random.integers(0, 20, count)] + 0.3 * random.standard_normal((count, 16)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_an_approximate_index_is_as_fast_as_recall_allows_and_the_same_twice(tmp_path: Path, kind: str) -> None:
    vectors = around_topics(3000)
    parameters = Parameters.model_validate({"dense": kind, "min_recall": 0.9})

    chosen = write_dense(tmp_path / "one", vectors, parameters)

    assert (chosen.kind, chosen.recall >= 0.95) == (kind, True)
    assert write_dense(tmp_path / "other", vectors, parameters) == chosen
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    index, exact = DenseIndex(tmp_path / "one"), np.argsort(-(vectors[:50] @ vectors.T), axis=1)[:, :10]
    found = index.search(vectors[:50], 10).numbers
    assert np.mean([len({*one} & {*other}) for one, other in zip(found, exact, strict=True)]) / 10 > 0.85
    assert np.array_equal(index.vectors(np.array([7, 2999])), vectors[[7, 2999]])
    # More than the lists that a search looks into hold: then it looks everywhere.
    assert sorted(index.search(vectors[:1], 3000).numbers[0].tolist()) == list(range(3000))


def test_an_index_that_finds_too_little_is_exact_instead(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    vectors = random.standard_normal((2000, 64)).astype(np.float32)  # no neighbourhoods to find

    chosen = write_dense(tmp_path / "dense.faiss", vectors, Parameters(dense="ivf", min_recall=1.0))

    assert (chosen.kind, chosen.search) == ("flat", 0)


@pytest.mark.parametrize(("texts", "kind"), [(2000, "flat"), (2001, "ivf")])
def test_auto_is_exact_below_a_size(tmp_path: Path, texts: int, kind: str) -> None:
    parameters = Parameters(flat_below=2001, min_recall=0.5)

    assert write_dense(tmp_path / "dense.faiss", around_topics(texts), parameters).kind == kind
