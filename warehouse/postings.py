"""Inverted lists, memory-mapped, and the exact search in them that BM25 and learned sparse retrieval share.

A query adds up the lists of its terms and keeps the best, in compiled code that lets go of Python's lock: batches are
spread over threads. Numba compiles it on first use and keeps the machine code beside this file. Indices are unsigned
there: for a signed one it asks each time whether it counts from the end.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from warehouse.segments import Found

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix

STARTS, TEXTS, VALUES = "starts.npy", "texts.npy", "values.npy"
# Below, starting threads costs more than they save.
QUERIES_PER_THREAD = 8
BLOCK = 128  # scores of which the largest is looked at first
NONE = -1

Search = Callable[[tuple[NDArray[Any], ...]], tuple[NDArray[np.float32], NDArray[np.int64]]]


@dataclass(frozen=True)
class Queries:
    """Weighted columns of q queries, one query after the other.

    Attributes:
        starts: int64, q + 1; where each query's columns begin, and where the last one's end.
        columns: int64, of the lists.
        weights: float32, of the columns.
    """

    starts: NDArray[np.int64]
    columns: NDArray[np.int64]
    weights: NDArray[np.float32]

    @classmethod
    def of(cls, queries: Sequence[tuple[ArrayLike, ArrayLike]]) -> "Queries":
        """Queries given as columns and weights each."""
        columns = [np.asarray(columns, np.int64) for columns, _ in queries]
        weights = [np.asarray(weights, np.float32) for _, weights in queries]
        starts = np.cumsum([0, *map(len, columns)], dtype=np.int64)
        if not queries:
            return cls(starts, np.empty(0, np.int64), np.empty(0, np.float32))
        return cls(starts, np.concatenate(columns), np.concatenate(weights))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def part(self, begin: int, end: int) -> "Queries":
        """The queries from `begin` up to `end`."""
        first, last = self.starts[begin], self.starts[end]
        return Queries(self.starts[begin : end + 1] - first, self.columns[first:last], self.weights[first:last])


def write_postings(folder: Path, matrix: "csc_matrix") -> None:
    """Write a matrix of texts by columns as one list a column, texts ascending.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    matrix.sort_indices()
    np.save(folder / STARTS, matrix.indptr.astype(np.int64))
    np.save(folder / TEXTS, matrix.indices.astype(np.int32))
    np.save(folder / VALUES, matrix.data)


class Postings:
    """Lists of texts and values, one a column.

    Args:
        starts: int64, columns + 1; where each list begins, and where the last one ends.
        texts: int32, ascending in each list.
        values: of the texts.
    """

    def __init__(self, starts: NDArray[np.int64], texts: NDArray[np.int32], values: NDArray[Any]) -> None:
        self._starts, self._texts, self._values = starts, texts, values

    @property
    def columns(self) -> int:
        """Number of lists."""
        return len(self._starts) - 1

    def length(self, column: int) -> int:
        """How many texts stand in a list."""
        return int(self._starts[column + 1] - self._starts[column])

    def saturated(self, queries: Queries, norms: NDArray[np.float32], alive: NDArray[np.bool_], k: int) -> Found:
        """The k texts with the highest sum of weight x value / (value + norm of the text).

        Args:
            norms: one a text.
            alive: one a text; others are never found.

        Returns:
            q by k, best first, equal scores in the order of the texts. A query that finds fewer has text -1 and
            score 0 in the places left.
        """
        lists = (self._starts, self._texts, self._values)
        return _spread(lambda part: _saturated(*lists, norms, *part, alive, k), queries)

    def plain(self, queries: Queries, alive: NDArray[np.bool_], k: int) -> Found:
        """As `saturated`, for the sum of weight x value."""
        lists = (self._starts, self._texts, self._values)
        return _spread(lambda part: _plain(*lists, *part, alive, k), queries)


def open_postings(folder: Path, names: tuple[str, str, str] = (STARTS, TEXTS, VALUES)) -> Postings:
    """The lists in a folder, memory-mapped.

    Args:
        names: files of their starts, texts and values.

    Raises:
        OSError: a file is missing.
        ValueError: a file is not what NumPy wrote, or of another index.
    """
    starts, texts, values = (mapped(folder / name) for name in names)
    if not len(starts) or not starts[-1] == len(texts) == len(values):
        raise ValueError(f"the lists do not fit together: {folder}")
    return Postings(starts, texts, values)


def mapped(path: Path) -> NDArray[Any]:
    """An array in a file, memory-mapped.

    Raises:
        OSError: the file is missing.
        ValueError: it is not what NumPy wrote.
    """
    # A plain array over the mapped bytes: what is compiled for one is compiled for all.
    return np.asarray(np.load(path, mmap_mode="r"))


def _spread(search: Search, queries: Queries) -> Found:
    """Search in parts, a thread each where there are many queries."""
    threads = min(os.cpu_count() or 1, len(queries) // QUERIES_PER_THREAD) or 1
    ends = [len(queries) * part // threads for part in range(threads + 1)]
    parts = [queries.part(begin, end) for begin, end in pairwise(ends)]
    arguments = [(part.starts, part.columns, part.weights) for part in parts]
    if threads == 1:
        return Found(*search(arguments[0]))
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(search, arguments))
    return Found(np.vstack([scores for scores, _ in found]), np.vstack([texts for _, texts in found]))


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _saturated(starts, texts, values, norms, query_starts, columns, weights, alive, k):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    scores = np.zeros(len(norms), np.float32)
    queries = len(query_starts) - 1
    best_scores, best_texts = np.zeros((queries, k), np.float32), np.full((queries, k), NONE, np.int64)
    for query in range(queries):
        for term in range(query_starts[query], query_starts[query + 1]):
            weight = weights[term]
            for place in range(np.uint64(starts[columns[term]]), np.uint64(starts[columns[term] + 1])):
                text, value = np.uint32(texts[place]), np.float32(values[place])
                scores[text] += weight * (value / (value + norms[text]))
        _take_best(scores, alive, best_scores[query], best_texts[query])
    return best_scores, best_texts


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _plain(starts, texts, values, query_starts, columns, weights, alive, k):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    scores = np.zeros(len(alive), np.float32)
    queries = len(query_starts) - 1
    best_scores, best_texts = np.zeros((queries, k), np.float32), np.full((queries, k), NONE, np.int64)
    for query in range(queries):
        for term in range(query_starts[query], query_starts[query + 1]):
            weight = weights[term]
            for place in range(np.uint64(starts[columns[term]]), np.uint64(starts[columns[term] + 1])):
                scores[np.uint32(texts[place])] += weight * np.float32(values[place])
        _take_best(scores, alive, best_scores[query], best_texts[query])
    return best_scores, best_texts


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _take_best(scores, alive, best_scores, best_texts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Move the best scores above 0 out of all, and set all back to 0."""
    heap: Any = [(np.float32(0), np.int64(0))]
    heappop(heap)
    least = np.zeros(1, np.float32)
    # Bits of numbers from 0 up are in the same order, and of integers a processor finds the largest of many at once.
    bits, least_bits = scores.view(np.int32), least.view(np.int32)
    for begin in range(0, len(scores), BLOCK):
        end = min(begin + BLOCK, len(scores))
        most = np.int32(0)
        for text in range(np.uint64(begin), np.uint64(end)):
            most = max(most, bits[text])
        if most <= least_bits[0]:
            continue
        for text in range(begin, end):
            # An equal score of a later text is no better, so that a comparison of scores is enough.
            if scores[text] > least[0] and alive[text]:
                if len(heap) < len(best_scores):
                    heappush(heap, (scores[text], -text))
                else:
                    heapreplace(heap, (scores[text], -text))
                if len(heap) == len(best_scores):
                    least[0] = heap[0][0]
    scores[:] = 0
    for place in range(len(heap) - 1, -1, -1):
        best_scores[place], text = heappop(heap)
        best_texts[place] = -text
