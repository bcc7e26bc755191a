"""Sparse vectors out of the weights of a whole vocabulary."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from models.encoder import Side, SparseVector

EMPTY = SparseVector(np.empty(0, np.int32), np.empty(0, np.float32))
"""Of a text that says nothing."""


@dataclass(frozen=True)
class MostTerms:
    """Most terms of a vector on either side; None keeps all."""

    passage: int | None
    query: int | None

    def of(self, side: Side) -> int | None:
        """Most terms of a side's vectors."""
        return self.passage if side == "passage" else self.query


def sparse_vector(weights: ArrayLike, most: int | None = None) -> SparseVector:
    """The weights above 0, and of these the `most` heaviest.

    Args:
        weights: of every id of the vocabulary.

    >>> sparse_vector([0.5, 0.0, 2.0, 0.5], most=2).terms.tolist()
    [0, 2]
    """
    row = np.asarray(weights, np.float32)
    terms = np.flatnonzero(row > 0).astype(np.int32)
    return heaviest(SparseVector(terms, row[terms]), most)


def heaviest(vector: SparseVector, most: int | None) -> SparseVector:
    """The vector with its `most` heaviest terms, of equal ones those with lower ids; with no more, nothing changes.

    PROSPER's lexical focusing window (arXiv 2510.18527).
    """
    if most is None or len(vector.terms) <= most:
        return vector
    kept = np.sort(np.argsort(-vector.weights, kind="stable")[:most])
    return SparseVector(vector.terms[kept], vector.weights[kept])


def unit(vector: SparseVector) -> SparseVector:
    """The vector scaled to norm 1; an empty one stays empty."""
    norm = float(np.linalg.norm(vector.weights.astype(np.float64)))
    return replace(vector, weights=(vector.weights / norm).astype(np.float32)) if norm else vector


def inner_product(one: SparseVector, other: SparseVector) -> float:
    """Likeness of two vectors of one encoder: the sum over shared terms of the products of their weights."""
    _, here, there = np.intersect1d(one.terms, other.terms, assume_unique=True, return_indices=True)
    return float(one.weights[here].astype(np.float64) @ other.weights[there].astype(np.float64))
