"""Vector pseudo-relevance feedback: the query vector moves towards the vectors of the first results.

Li, Mourad, Zhuang, Koopman and Zuccon, arXiv 2108.11044. The new vectors are not scaled to norm 1, which changes no
ranking by inner product.
"""

import numpy as np
from numpy.typing import NDArray

# What the paper's reference implementation (Pyserini's vector PRF) reports for ANCE at depth 5.
QUERY_WEIGHT = 0.4
FEEDBACK_WEIGHT = 0.6


def average_feedback(query: NDArray[np.float32], passages: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of the query's vector and the passages'; without passages the query's, unchanged.

    Args:
        query: of length d.
        passages: of the first results, n by d.
    """
    return np.asarray(np.vstack([query, passages]).mean(axis=0), np.float32)


def rocchio_feedback(
    query: NDArray[np.float32],
    passages: NDArray[np.float32],
    *,
    query_weight: float = QUERY_WEIGHT,
    feedback_weight: float = FEEDBACK_WEIGHT,
) -> NDArray[np.float32]:
    """query_weight x query + feedback_weight x mean of the passages; without passages the query, unchanged.

    Args:
        query: of length d.
        passages: of the first results, n by d.
    """
    if not len(passages):
        return np.asarray(query, np.float32)
    return np.asarray(query_weight * query + feedback_weight * passages.mean(axis=0), np.float32)
