"""Which FAISS index a set of vectors gets: exact, or approximate where that finds enough of the exact neighbours.

Training and adding run in one thread with FAISS' own seeds: the same vectors give the same bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warehouse.manifest import Dense, Parameters

DEPTH = 10
SAMPLE = 400
SEED = 20261126
LINKS = 32  # of a vector in HNSW, as its authors advise for many dimensions
BUILD_BREADTH = 80
LEAST_PER_LIST = 39  # vectors that FAISS wants to train a list on
# Above, a search looks at so much that an exact one is worth more.
MOST_SEEN = 1 / 4
MOST_BREADTH = 1024
# Sums of a few hundred products in another order differ by less.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Approximate:
    """An approximate index and the settings that its searches can have, from fast to thorough."""

    kind: str
    index: Any
    setting: str
    values: tuple[int, ...]


def dense_index(vectors: NDArray[np.float32], parameters: Parameters) -> tuple[Any, Dense]:
    """A FAISS index over vectors, n by dimension, and what it is.

    An approximate one searches as fast as it can while it finds, of a sample's ten nearest, a share half way between
    the least recall that is asked for and 1: the gate draws another sample. One that never does is not used.
    """
    wanted = parameters.dense
    if wanted == "auto":
        wanted = "flat" if len(vectors) < parameters.flat_below else "ivf"
    if wanted != "flat":
        chosen = _thorough_enough(vectors, _ivf(vectors) if wanted == "ivf" else _hnsw(vectors), parameters.min_recall)
        if chosen:
            return chosen
    return _flat(vectors), Dense(kind="flat", search=0, recall=1.0)


def _thorough_enough(vectors: NDArray[np.float32], made: Approximate, min_recall: float) -> tuple[Any, Dense] | None:
    """The index with the fastest setting that finds enough; None where none does."""
    sample = np.random.default_rng(SEED).permutation(len(vectors))[:SAMPLE]
    depth = min(DEPTH, len(vectors))
    tenth = np.sort(_flat(vectors).search(vectors[sample], depth)[0], axis=1)[:, :1]
    for value in made.values:
        # FAISS keeps the setting in the file.
        setattr(made.index.hnsw if made.kind == "hnsw" else made.index, made.setting, value)
        found = made.index.search(vectors[sample], depth)[0]
        recall = float(np.mean(found >= tenth - ROUNDING))
        if recall >= (1 + min_recall) / 2:
            return made.index, Dense(kind=made.kind, search=value, recall=recall)
    return None


def _flat(vectors: NDArray[np.float32]) -> Any:  # noqa: ANN401
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index


def _ivf(vectors: NDArray[np.float32]) -> Approximate:
    import faiss

    faiss.omp_set_num_threads(1)
    lists = max(1, min(int(2 * sqrt(len(vectors))), len(vectors) // LEAST_PER_LIST))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    # Stored vectors are asked for by number.
    index.set_direct_map_type(faiss.DirectMap.Array)  # type: ignore[attr-defined]
    return Approximate("ivf", index, "nprobe", tuple(_doubled(1, max(1, int(lists * MOST_SEEN)))))


def _hnsw(vectors: NDArray[np.float32]) -> Approximate:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(vectors.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = BUILD_BREADTH
    index.add(vectors)
    return Approximate("hnsw", index, "efSearch", tuple(_doubled(16, MOST_BREADTH)))


def _doubled(first: int, last: int) -> Iterable[int]:
    while first <= last:
        yield first
        first *= 2
