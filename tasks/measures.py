"""Measures of rankings, query by query, and whether two configurations differ by more than chance."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
from scipy import stats

from schemas.errors import UnknownName

Run = Mapping[str, Sequence[tuple[str, float]]]
"""Retrieved passages with their scores, by query id."""

KNOWN = ("nDCG@10", "R@100", "RR@10", "AP", "P@10")


class Measurer:
    """Measures runs by one set of judgments, with ir-measures (Macavaney et al., ECIR 2022).

    Args:
        measures: as ir-measures names them.
        qrels: grade by query id and passage.

    Raises:
        UnknownName: ir-measures does not know a measure.
    """

    def __init__(self, measures: Iterable[str], qrels: Mapping[str, Mapping[str, int]]) -> None:
        self._evaluator = ir_measures.evaluator([_parsed(name) for name in measures], dict(qrels))

    def __call__(self, run: Run) -> dict[tuple[str, str], float]:
        """The value of every judged query and measure; 0 for a query that retrieved nothing."""
        values = self._evaluator.iter_calc({query: dict(found) for query, found in run.items()})
        return {(value.query_id, str(value.measure)): float(value.value) for value in values}


def _parsed(name: str) -> ir_measures.Measure:
    try:
        return ir_measures.parse_measure(name)
    except (NameError, ValueError) as error:
        raise UnknownName("measure", name, KNOWN) from error


@dataclass(frozen=True)
class Compared:
    """One configuration against the baseline by one measure.

    Attributes:
        mean: over the queries.
        difference: of the means, positive where it is better than the baseline.
        p: of a two-sided paired t-test over the queries.
        corrected: p by Holm's method over all configurations that were compared by this measure.
    """

    mean: float
    difference: float
    p: float
    corrected: float


def compare(baseline: Sequence[float], others: Mapping[str, Sequence[float]]) -> dict[str, Compared]:
    """Every configuration against the baseline, by values of the same queries in the same order."""
    raw = {name: paired_p(baseline, values) for name, values in others.items()}
    corrected = dict(zip(raw, holm(list(raw.values())), strict=True))
    return {
        name: Compared(float(np.mean(values)), float(np.mean(values) - np.mean(baseline)), raw[name], corrected[name])
        for name, values in others.items()
    }


def paired_p(first: Sequence[float], second: Sequence[float]) -> float:
    """p of a two-sided paired t-test; 1 where no query differs or there are fewer than two.

    Where every query differs by the same amount the t statistic is infinite, and p is 0.
    """
    differences = np.subtract(second, first)
    if len(differences) < 2 or not differences.any():
        return 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(stats.ttest_rel(second, first).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979).

    The i-th smallest of m values is multiplied by m - i + 1, is never below the one before it, and never above 1.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.maximum.accumulate(np.asarray(p_values, float)[order] * factors)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in corrected]
