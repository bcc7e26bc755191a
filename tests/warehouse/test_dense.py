"""The dense index: what is stored comes back, and what cannot be stored is noticed."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from schemas.errors import BundleError
from warehouse.dense import DenseIndex, as_matrix, vectors_of, write_dense

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
