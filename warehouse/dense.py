"""The dense index: a unit vector for each distinct text, searched by inner product with FAISS.

A text may have late variants: further vectors, of what was written about it. It is as near as its nearest vector.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.errors import BundleError
from warehouse.manifest import Dense, Parameters
from warehouse.neighbours import dense_index
from warehouse.segments import Found, Texts
from warehouse.stored import read_rows, write_rows

DENSE_FILE = "dense.faiss"
LATE_FILE = "late.arrow"


def vectors_of(text_hashes: pa.StringArray, vectors: pa.Table) -> NDArray[np.float32]:
    """The vector of each text, in the order of the texts.

    Args:
        vectors: `text_hash` and `vector`, in any order.

    Returns:
        float32, texts by dimension.

    Raises:
        BundleError: a text has no vector, or the vectors differ in length.
    """
    position = pc.index_in(text_hashes, value_set=vectors["text_hash"].combine_chunks())
    if position.null_count:
        raise BundleError(
            f"{position.null_count:,} of {len(text_hashes):,} texts have no vector",
            where="dense index",
            remedy="Embed them first: nightjar nightly CORPUS",
        )
    return as_matrix(vectors["vector"].take(position))


@dataclass(frozen=True)
class LateVectors:
    """Vectors that texts have beside their own.

    Attributes:
        numbers: int64, n, of the text of each; ascending.
        vectors: float32, n by dimension.
    """

    numbers: NDArray[np.int64]
    vectors: NDArray[np.float32]


def late_vectors_of(text_hashes: pa.StringArray, vectors: pa.Table) -> LateVectors:
    """The vectors that texts have beside their own: all rows of a text but the first.

    Args:
        vectors: `text_hash` and `vector`.

    Raises:
        BundleError: the vectors differ in length.
    """
    numbers = np.asarray(pc.index_in(vectors["text_hash"], value_set=text_hashes).fill_null(-1), np.int64)
    later = np.ones(len(numbers), np.bool_)
    later[np.unique(numbers, return_index=True)[1]] = False
    rows: NDArray[np.int64] = np.flatnonzero(later & (numbers >= 0))
    if not len(rows):
        return LateVectors(np.empty(0, np.int64), np.empty((0, 0), np.float32))
    rows = rows[np.argsort(numbers[rows], kind="stable")]
    return LateVectors(numbers[rows], as_matrix(vectors["vector"].take(rows)))


def as_matrix(vectors: "pa.ChunkedArray[Any]") -> NDArray[np.float32]:
    """A column of lists of one length as a float32 matrix, rows by dimension.

    Raises:
        BundleError: the lists differ in length.
    """
    lists: Any = vectors.combine_chunks()
    lengths = pc.unique(pc.list_value_length(lists)).to_pylist()
    if len(lengths) != 1 or not lengths[0]:
        raise BundleError(f"vectors have lengths {lengths}, not one", where="dense index")
    return np.ascontiguousarray(lists.flatten().to_numpy(), dtype=np.float32).reshape(-1, lengths[0])


def write_dense(
    path: Path, vectors: NDArray[np.float32], parameters: Parameters | None = None, late: LateVectors | None = None
) -> Dense:
    """Write an inner product index over the vectors, n by dimension.

    Args:
        parameters: say of which kind; those of every index, when left out.
        late: vectors that the texts have beside these.

    Returns:
        Which kind it is.

    Raises:
        BundleError: late vectors have another length.
        OSError: the disk is full or cannot be written.
    """
    import faiss

    index, kind = dense_index(_with_late(path, vectors, late), parameters or Parameters())
    # Given a path, FAISS closes the file without looking, and a full disk goes unnoticed.
    with path.open("wb") as file:
        writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]
        faiss.write_index(index, writer)
    return kind


class DenseIndex:
    """Index files, memory-mapped: opening them reads next to nothing.

    Args:
        path: of the first segment; late variants lie beside it.
        later: paths of later segments.
        texts: of all segments; all of one segment, when left out.

    Raises:
        BundleError: FAISS cannot read a file.
    """

    def __init__(self, path: Path, *, later: Sequence[Path] = (), texts: Texts | None = None) -> None:
        self._indexes = [_read(each) for each in (path, *later)]
        self._late = [_read_late(each) for each in (path, *later)]
        self._texts = texts or Texts.whole(self.size)

    @property
    def size(self) -> int:
        """Texts in the index, dead ones among them."""
        vectors = sum(int(index.ntotal) for index in self._indexes)
        return vectors - sum(len(numbers) for numbers in self._late)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._indexes[0].d)

    def search(self, queries: NDArray[np.float32], k: int) -> Found:
        """The k texts with the largest inner product, or all where there are fewer.

        Args:
            queries: q by dimension.
        """
        import faiss

        # Threads that wait for each other cost a single query more than they save it (over 100,000 vectors on two
        # busy cores, 40 ms against 11).
        faiss.omp_set_num_threads(1 if len(queries) == 1 else os.cpu_count() or 1)
        asked = np.ascontiguousarray(queries, np.float32)
        parts = zip(self._indexes, self._owners, self._texts.alive_by_segment, strict=True)
        found = self._texts.best([_living(index, owners, alive, asked, k) for index, owners, alive in parts], k)
        most = min(k, self._texts.living)
        return Found(found.scores[:, :most], found.numbers[:, :most])

    @cached_property
    def late(self) -> LateVectors:
        """The late variants of living texts, those of later segments after those of earlier ones."""
        starts = self._texts.starts[:-1]
        numbers = np.concatenate([late + start for late, start in zip(self._late, starts, strict=True)])
        stored = [
            index.reconstruct_n(index.ntotal - len(late), len(late))
            for index, late in zip(self._indexes, self._late, strict=True)
        ]
        living = self._texts.alive[numbers]
        return LateVectors(numbers[living], np.concatenate(stored)[living])

    @cached_property
    def _owners(self) -> list[NDArray[np.int64] | None]:
        """Of each segment, the text of each vector; None where every text has one vector."""
        return [
            np.concatenate([np.arange(index.ntotal - len(late)), late]) if len(late) else None
            for index, late in zip(self._indexes, self._late, strict=True)
        ]

    def vectors(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors of texts themselves, n by dimension."""
        wanted = np.asarray(numbers, np.int64)
        segments = np.searchsorted(self._texts.starts, wanted, side="right") - 1
        stored = np.empty((len(wanted), self.dimension), np.float32)
        for segment in np.unique(segments):
            here = segments == segment
            local = np.ascontiguousarray(wanted[here] - self._texts.starts[segment])
            stored[here] = self._indexes[segment].reconstruct_batch(local)
        return stored


def _with_late(path: Path, vectors: NDArray[np.float32], late: LateVectors | None) -> NDArray[np.float32]:
    """The vectors with the late ones after them; which texts those are of is written beside the index."""
    if late is None or not len(late.numbers):
        return vectors
    if late.vectors.shape[1] != vectors.shape[1]:
        lengths = [vectors.shape[1], late.vectors.shape[1]]
        raise BundleError(f"vectors have lengths {lengths}, not one", where="dense index")
    write_rows(path.with_name(LATE_FILE), pa.table({"number": pa.array(late.numbers)}))
    return np.concatenate([vectors, late.vectors])


def _read_late(path: Path) -> NDArray[np.int64]:
    """Numbers of the texts that the last vectors of a segment are of."""
    beside = path.with_name(LATE_FILE)
    return np.asarray(read_rows(beside)["number"], np.int64) if beside.is_file() else np.empty(0, np.int64)


def _read(path: Path) -> Any:  # noqa: ANN401
    import faiss

    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise BundleError("FAISS cannot read the index", where=str(path)) from error


def _search(index: Any, queries: NDArray[np.float32], k: int) -> tuple[Any, Any]:  # noqa: ANN401
    """The k best texts; an approximate index that saw fewer looks everywhere."""
    faiss: Any = import_module("faiss")  # its stubs lack the settings of searches
    scores, numbers = index.search(queries, k)
    if numbers.min(initial=0) >= 0:
        return scores, numbers
    everywhere = (
        faiss.SearchParametersIVF(nprobe=index.nlist)
        if isinstance(index, faiss.IndexIVF)
        else faiss.SearchParametersHNSW(efSearch=index.ntotal)
    )
    return index.search(queries, k, params=everywhere)  # type: ignore[no-any-return]


def _living(
    index: Any,  # noqa: ANN401
    owners: NDArray[np.int64] | None,
    alive: NDArray[np.bool_],
    queries: NDArray[np.float32],
    k: int,
) -> Found:
    """The k best living texts of a segment.

    As many more vectors are asked for as turn out to be of dead texts, or of texts that are found already.

    Args:
        owners: text of each vector; None where they are the same.
    """
    size, dead = int(index.ntotal), len(alive) - int(alive.sum())
    asked = min(size, k + min(dead, k) + (0 if owners is None else k))
    while True:
        scores, found = _search(index, queries, asked)
        if not dead and owners is None:
            return Found(scores, found)
        numbers = found if owners is None else np.where(found < 0, -1, owners[found])
        held = (numbers >= 0) & alive[numbers]
        if owners is not None:
            held &= _first_in_row(numbers)
        if asked == size or held.sum(axis=1).min() >= min(k, len(alive) - dead):
            break
        asked = min(size, 2 * asked)
    # Living ones first, each in its order.
    order = np.argsort(~held, axis=1, kind="stable")[:, : min(k, asked)]
    kept = np.where(held, numbers, -1)
    return Found(np.take_along_axis(scores, order, axis=1), np.take_along_axis(kept, order, axis=1))


def _first_in_row(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where each number of a row stands for the first time in it."""
    order = np.argsort(numbers, axis=1, kind="stable")
    sorted_numbers = np.take_along_axis(numbers, order, axis=1)
    first = np.ones(numbers.shape, np.bool_)
    np.put_along_axis(first, order[:, 1:], sorted_numbers[:, 1:] != sorted_numbers[:, :-1], axis=1)
    return first
