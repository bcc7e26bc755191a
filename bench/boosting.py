"""Learning of oblivious trees by gradient boosting with logistic loss: what `bench/learn_extraction.py` fits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.extraction.content import ObliviousTrees
from tasks.extraction.features import Floats

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class BoostingSettings:
    """How trees are grown.

    Attributes:
        rate: share of a tree's correction that is taken.
        prior: weight of an imaginary row with nothing to correct in every leaf.
        bins: values that a column is rounded to.
    """

    trees: int = 100
    depth: int = 4
    rate: float = 0.2
    prior: float = 20.0
    bins: int = 24


def boost(rows: Floats, labels: Reals, weights: Reals, settings: BoostingSettings) -> ObliviousTrees:
    """Fit trees.

    Args:
        rows: (n, columns).
        labels: (n,) 0 or 1, or a probability.
        weights: (n,) how much each row counts.
    """
    edges = [_edges(column, settings.bins) for column in rows.T]
    binned = np.stack([np.searchsorted(edge, column) for edge, column in zip(edges, rows.T, strict=True)])
    bias = float(np.log((weights * labels).sum() / (weights * (1 - labels)).sum()))
    log_odds = np.full(len(labels), bias)
    questions: list[list[tuple[int, int]]] = []
    leaves: list[Reals] = []
    for _ in range(settings.trees):
        chances = 1 / (1 + np.exp(-log_odds))
        slopes, curvatures = weights * (labels - chances), weights * chances * (1 - chances)
        asked, leaf = _grow(binned, slopes, curvatures, settings)
        count = 1 << settings.depth
        values = np.bincount(leaf, slopes, count) / (np.bincount(leaf, curvatures, count) + settings.prior)
        log_odds += settings.rate * values[leaf]
        questions.append(asked)
        leaves.append(settings.rate * values)
    thresholds = [[edges[column][min(place, len(edges[column]) - 1)] for column, place in tree] for tree in questions]
    columns = np.array([[column for column, _ in tree] for tree in questions])
    return ObliviousTrees(bias, columns, np.array(thresholds, np.float32), np.array(leaves, np.float32))


def _edges(column: Floats, bins: int) -> Floats:
    return np.unique(np.quantile(column, np.linspace(0, 1, bins + 1)[1:-1]).astype(np.float32))


def _grow(
    binned: NDArray[np.int64], slopes: Reals, curvatures: Reals, settings: BoostingSettings
) -> tuple[list[tuple[int, int]], NDArray[np.int64]]:
    """The (column, bin) that each level asks about, and the leaf that each row ends in."""
    asked: list[tuple[int, int]] = []
    leaf = np.zeros(binned.shape[1], dtype=np.int64)
    for level in range(settings.depth):
        shape = (1 << level, settings.bins)
        gains = [_gains(leaf * settings.bins + bins, shape, (slopes, curvatures), settings.prior) for bins in binned]
        column, place = divmod(int(np.argmax(gains)), settings.bins - 1)
        asked.append((column, place))
        leaf = 2 * leaf + (binned[column] > place)
    return asked, leaf


def _gains(
    cell: NDArray[np.int64], shape: tuple[int, int], slopes_and_curvatures: tuple[Reals, Reals], prior: float
) -> Reals:
    """What dividing all leaves above each bin of a column would gain: (bins - 1,)."""
    slope, curvature = (
        np.bincount(cell, values, shape[0] * shape[1]).reshape(shape).cumsum(axis=1) for values in slopes_and_curvatures
    )
    low = slope**2 / (curvature + prior)
    high = (slope[:, -1:] - slope) ** 2 / (curvature[:, -1:] - curvature + prior)
    gains: Reals = (low + high).sum(axis=0)[:-1]
    return gains
