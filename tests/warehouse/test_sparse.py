"""The learned sparse index, against inner products computed one by one."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.encoder import SparseVector
from schemas.errors import BundleError
from warehouse.segments import Texts
from warehouse.sparse import SparseIndex, write_sparse

# Powers of two add up without rounding, in whatever order.
WEIGHTS = st.sampled_from([0.25, 0.5, 1.0, 2.0])
VECTORS = st.dictionaries(st.integers(0, 40), WEIGHTS, max_size=8)


def sparse(weights: Mapping[int, float]) -> SparseVector:
    terms = sorted(weights)
    return SparseVector(np.array(terms, np.int32), np.array([weights[term] for term in terms], np.float32))


def rows(vectors: Sequence[Mapping[int, float]]) -> pa.Table:
    """Rows of `sparse_embeddings`, last text first."""
    columns = {
        "text_hash": [name(number) for number in range(len(vectors))][::-1],
        "terms": pa.array([sorted(vector) for vector in vectors][::-1], pa.list_(pa.int32())),
        "weights": pa.array([[v[t] for t in sorted(v)] for v in vectors][::-1], pa.list_(pa.float32())),
    }
    return pa.table(columns)


def name(number: int) -> str:
    return f"{number:032x}"


def written(folder: Path, vectors: Sequence[Mapping[int, float]]) -> SparseIndex:
    write_sparse(folder, pa.array([name(number) for number in range(len(vectors))], pa.string()), rows(vectors))
    return SparseIndex(folder, Texts.whole(len(vectors)))


def by_hand(query: Mapping[int, float], vectors: Sequence[Mapping[int, float]], k: int) -> list[tuple[int, float]]:
    scores = [sum(weight * vector.get(term, 0) for term, weight in query.items()) for vector in vectors]
    best = sorted((number for number, score in enumerate(scores) if score), key=lambda number: -scores[number])
    return [(number, scores[number]) for number in best[:k]]


@given(st.lists(VECTORS, min_size=1, max_size=30), st.lists(VECTORS, max_size=20), st.integers(1, 40))
@settings(deadline=None, max_examples=60)
def test_inner_products(vectors: list[dict[int, float]], queries: list[dict[int, float]], k: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        index = written(Path(folder), vectors)
        found = index.search_many([sparse(query) for query in queries], k)

    answers = [list(zip(each.numbers[0].tolist(), each.scores[0].tolist(), strict=True)) for each in found]
    assert answers == [by_hand(query, vectors, k) for query in queries]


def test_one_query(tmp_path: Path) -> None:
    index = written(tmp_path, [{1: 1.0}, {1: 2.0, 7: 0.5}, {3: 1.0}])

    found = index.search(sparse({1: 1.0, 7: 4.0, 99: 1.0}), 5)

    assert found.numbers.tolist() == [[1, 0]]
    assert found.scores.tolist() == [[4.0, 1.0]]


def test_values_by_hand(tmp_path: Path) -> None:
    index = written(tmp_path, [{1: 139, 2: 10}, {}, {2: 100}, {3: 7}])

    def answers(query: dict[int, float], k: int) -> list[tuple[int, float]]:
        found = index.search(sparse(query), k)
        return list(zip(found.numbers[0].tolist(), found.scores[0].tolist(), strict=True))

    assert answers({2: 2, 1: 1}, 10) == [(2, 200.0), (0, 159.0)]
    assert answers({2: 2, 1: 1}, 1) == [(2, 200.0)]
    assert answers({}, 10) == []
    assert answers({4: 1}, 10) == []


def test_a_text_without_a_vector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="1 of 2 texts have no sparse vector"):
        write_sparse(tmp_path, pa.array([name(0), "other"]), rows([{1: 1.0}]))


def test_a_damaged_index_is_refused(tmp_path: Path) -> None:
    written(tmp_path, [{1: 1.0}])
    (tmp_path / "starts.npy").write_bytes(b"not an array")

    with pytest.raises(BundleError, match="the sparse index is not readable"):
        SparseIndex(tmp_path, Texts.whole(1))
