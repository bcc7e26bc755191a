"""The dense index: one unit vector per distinct text, searched by inner product with FAISS."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.errors import BundleError
from warehouse.segments import Found

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


def write_dense(path: Path, vectors: NDArray[np.float32]) -> None:
    """Write a flat inner product index over the vectors, n by dimension.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    # Given a path, FAISS closes the file without looking, and a full disk goes unnoticed.
    with path.open("wb") as file:
        writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]
        faiss.write_index(index, writer)


class DenseIndex:
    """An index file, memory-mapped: opening it reads next to nothing.

    Raises:
        BundleError: FAISS cannot read the file.
    """

    def __init__(self, path: Path) -> None:
        import faiss

        try:
            self._index: Any = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise BundleError("FAISS cannot read the index", where=str(path)) from error

    @property
    def size(self) -> int:
        """Vectors in the index."""
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._index.d)

    def search(self, queries: NDArray[np.float32], k: int) -> Found:
        """The k texts with the largest inner product, or all where there are fewer.

        Args:
            queries: q by dimension.
        """
        import faiss

        # Threads that wait for each other cost a single query more than they save it (over 100,000 vectors on two
        # busy cores, 40 ms against 11).
        faiss.omp_set_num_threads(1 if len(queries) == 1 else os.cpu_count() or 1)
        scores, numbers = self._index.search(np.ascontiguousarray(queries, np.float32), min(k, self.size))
        return Found(scores, numbers)

    def vectors(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors of texts, n by dimension."""
        return np.asarray(self._index.reconstruct_batch(np.ascontiguousarray(numbers, np.int64)), np.float32)
