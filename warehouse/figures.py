"""The figures that an index version is judged by before it serves, and that synthetic queries are judged by after."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from warehouse.bundle import Bundle
from warehouse.dense import as_matrix, late_vectors_of, vectors_of

RECALL_DEPTH = 10
SAMPLE = 100
SEED = 20261123
# Sums of a few hundred products in another order differ by less.
ROUNDING = 1e-5


def check_bundle(bundle: Bundle, live_chunk_ids: "pa.ChunkedArray[Any]", vectors: pa.Table) -> dict[str, float]:
    """Compare a bundle with what it should hold.

    Args:
        live_chunk_ids: of all live passages.
        vectors: `text_hash` and `vector` as the embeddings table has them, a text's own first: of every text, or for
            a version with a parent of those that the parent does not have.

    Returns:
        `live_chunks_missing` and `dead_chunks_present`, counts; `recall_at_10` of the dense index.
    """
    stored = bundle.stored.chunks["chunk_id"]
    return {
        "live_chunks_missing": float(_not_in(live_chunk_ids, stored)),
        "dead_chunks_present": float(_not_in(stored, live_chunk_ids)),
        "recall_at_10": recall(bundle, vectors),
    }


def recall(bundle: Bundle, vectors: pa.Table) -> float:
    """Share of the exact ten nearest texts that the dense index finds, over a seeded sample of its texts as queries.

    The exact scores come from the vectors as they were handed in, by NumPy: a fault of the index's files, of their
    order or of the search itself shows. A found text counts if it scores at least as much as the exact tenth.

    A version with a parent counts vectors that were not handed in, and late variants, as they are stored: its parent
    was measured by them.
    """
    exact = _handed_in(bundle, vectors)
    depth = min(RECALL_DEPTH, len(exact))
    sample = np.random.default_rng(SEED).permutation(len(exact))[:SAMPLE]
    queries = exact[sample]
    whole = bundle.manifest.parent is None
    late = late_vectors_of(bundle.stored.text_hashes, vectors) if whole else bundle.dense.late
    scores = _nearest(queries @ exact.T, queries, _among_living(bundle, late.numbers), late.vectors)
    tenth = np.partition(scores, -depth, axis=1)[:, -depth]
    found = _among_living(bundle, bundle.dense.search(queries, depth).numbers)
    true_scores = np.where(found < 0, -np.inf, np.take_along_axis(scores, np.maximum(found, 0), axis=1))
    return float(np.mean(true_scores >= tenth[:, np.newaxis] - ROUNDING))


def round_trip_ranks(
    bundle: Bundle, query_vectors: NDArray[np.float32], text_hashes: Sequence[str], depth: int
) -> list[int]:
    """Where each synthetic query finds the text it was written for (Promptagator, arXiv 2209.11755, section 3.2).

    A rank is one more than the number of texts that score higher, so texts with equal scores share a rank.
    Passages with the same text are one text. A text scores as its nearest vector that the search finds.

    Args:
        query_vectors: one query a row.
        text_hashes: text that each query was written for.
        depth: texts searched.

    Returns:
        Ranks from 1; 0 for a text beyond the depth or not in the index.
    """
    if not len(text_hashes):
        return []
    numbers = bundle.stored.numbers(pa.chunked_array([text_hashes], pa.string()))
    own_vectors = bundle.dense.vectors(np.maximum(numbers, 0))
    own = np.einsum("qd,qd->q", query_vectors, own_vectors)
    searched = bundle.dense.search(query_vectors, depth)
    itself = searched.numbers == numbers[:, np.newaxis]
    own = np.maximum(own, np.where(itself, searched.scores, -np.inf).max(axis=1, initial=-np.inf))
    better = np.sum(searched.scores > own[:, np.newaxis] + ROUNDING, axis=1)
    found = (numbers >= 0) & (better < depth)
    return [int(rank) for rank in np.where(found, better + 1, 0)]


def _nearest(
    scores: NDArray[np.float32],
    queries: NDArray[np.float32],
    places: NDArray[np.int64],
    late: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Scores of texts, q by n, with those of the texts at some places raised to what their late variants score.

    Args:
        places: ascending, of the text of each late vector.
    """
    if not len(places):
        return scores
    texts, first = np.unique(places, return_index=True)
    scores[:, texts] = np.maximum(scores[:, texts], np.maximum.reduceat(queries @ late.T, first, axis=1))
    return scores


def _handed_in(bundle: Bundle, vectors: pa.Table) -> NDArray[np.float32]:
    """Vectors of the living texts, in the order of their numbers."""
    stored = bundle.stored
    living = np.flatnonzero(stored.texts.alive)
    if bundle.manifest.parent is None:
        return vectors_of(stored.text_hashes, vectors)
    exact = bundle.dense.vectors(living)
    # The first row of a text is its own vector.
    numbers, rows = np.unique(stored.numbers(vectors["text_hash"]), return_index=True)
    held = numbers >= 0
    if held.any():
        exact[_among_living(bundle, numbers[held])] = as_matrix(vectors["vector"].take(rows[held]))
    return exact


def _among_living(bundle: Bundle, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of each text among the living ones; -1 for none."""
    alive = bundle.stored.texts.alive
    return np.append(np.where(alive, np.cumsum(alive) - 1, -1), -1)[numbers]


def _not_in(values: "pa.ChunkedArray[Any]", others: "pa.ChunkedArray[Any]") -> int:
    absent = pc.invert(pc.is_in(values, value_set=others))
    return len(values.filter(absent))
