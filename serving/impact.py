"""Search with learned sparse vectors: the sum over shared terms of query weight x passage weight."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from warehouse.lexical import best_positions

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Impacts = Mapping[int, int]
"""Whole weights by vocabulary id."""


def impact_matrix(vectors: Sequence[Impacts], vocabulary: int) -> "csr_matrix":
    """Sparse vectors as a SciPy matrix (CSR, int64), vectors by vocabulary.

    Args:
        vocabulary: number of vocabulary ids.
    """
    from scipy.sparse import csr_matrix

    ends = np.cumsum([0, *map(len, vectors)])
    terms = np.fromiter((term for vector in vectors for term in vector), np.int64, ends[-1])
    weights = np.fromiter((weight for vector in vectors for weight in vector.values()), np.int64, ends[-1])
    return csr_matrix((weights, terms, ends), shape=(len(vectors), vocabulary))


def impact_search(query: Impacts, passages: "csr_matrix", k: int) -> list[tuple[int, float]]:
    """The k passages with the highest score, best first, each with its row and its score.

    Passages that share no term with the query are left out; equal scores stand in the order of the rows.

    Args:
        passages: of `impact_matrix`.
    """
    scores = (passages @ impact_matrix([query], passages.shape[1]).T).toarray().ravel()
    best = best_positions(scores, k)
    return [(int(row), float(scores[row])) for row in best]
