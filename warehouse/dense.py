"""The dense index: one unit vector per distinct text, searched by inner product with FAISS."""

import os
from collections.abc import Sequence
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

DENSE_FILE = "dense.faiss"


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


def write_dense(path: Path, vectors: NDArray[np.float32], parameters: Parameters | None = None) -> Dense:
    """Write an inner product index over the vectors, n by dimension.

    Args:
        parameters: say of which kind; those of every index, when left out.

    Returns:
        Which kind it is.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    import faiss

    index, kind = dense_index(vectors, parameters or Parameters())
    # Given a path, FAISS closes the file without looking, and a full disk goes unnoticed.
    with path.open("wb") as file:
        writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]
        faiss.write_index(index, writer)
    return kind


class DenseIndex:
    """Index files, memory-mapped: opening them reads next to nothing.

    Args:
        path: of the first segment.
        later: paths of later segments.
        texts: of all segments; all of one segment, when left out.

    Raises:
        BundleError: FAISS cannot read a file.
    """

    def __init__(self, path: Path, *, later: Sequence[Path] = (), texts: Texts | None = None) -> None:
        self._indexes = [_read(each) for each in (path, *later)]
        self._texts = texts or Texts.whole(self.size)

    @property
    def size(self) -> int:
        """Vectors in the index, those of dead texts among them."""
        return sum(int(index.ntotal) for index in self._indexes)

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
        pairs = zip(self._indexes, self._texts.alive_by_segment, strict=True)
        found = self._texts.best([_living(index, alive, asked, k) for index, alive in pairs], k)
        most = min(k, self._texts.living)
        return Found(found.scores[:, :most], found.numbers[:, :most])

    def vectors(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors of texts, n by dimension."""
        wanted = np.asarray(numbers, np.int64)
        segments = np.searchsorted(self._texts.starts, wanted, side="right") - 1
        stored = np.empty((len(wanted), self.dimension), np.float32)
        for segment in np.unique(segments):
            here = segments == segment
            local = np.ascontiguousarray(wanted[here] - self._texts.starts[segment])
            stored[here] = self._indexes[segment].reconstruct_batch(local)
        return stored


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


def _living(index: Any, alive: NDArray[np.bool_], queries: NDArray[np.float32], k: int) -> Found:  # noqa: ANN401
    """The k best living texts of a segment: as many more are asked for as turn out to be dead."""
    size, dead = len(alive), len(alive) - int(alive.sum())
    asked = min(size, k + min(dead, k))
    while True:
        scores, numbers = _search(index, queries, asked)
        if not dead:
            return Found(scores, numbers)
        held = (numbers >= 0) & alive[numbers]
        if asked == size or held.sum(axis=1).min() >= min(k, size - dead):
            break
        asked = min(size, 2 * asked)
    # Living ones first, each in its order.
    order = np.argsort(~held, axis=1, kind="stable")[:, : min(k, asked)]
    kept = np.where(held, numbers, -1)
    return Found(np.take_along_axis(scores, order, axis=1), np.take_along_axis(kept, order, axis=1))
