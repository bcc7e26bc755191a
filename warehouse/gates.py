"""Gates: a table's expectations, measured in one scan and judged by Great Expectations."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.errors import GateError
from schemas.table import Expectation

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.data_context.data_context.abstract_data_context import AbstractDataContext


@dataclass(frozen=True)
class GateResult:
    """What a gate measured and which expectations did not hold.

    Attributes:
        subject: table or index version that was checked.
        figures: value of every expectation.
        failed: expectations that did not hold.
        page: the result as an HTML page (Great Expectations' Data Docs).
    """

    subject: str
    figures: Mapping[str, float]
    failed: tuple[Expectation, ...]
    page: str

    def raise_if_failed(self, where: str) -> None:
        """Raises GateError naming each failed expectation, its value and its bounds."""
        if self.failed:
            raise GateError(
                "; ".join(self._verdict(expectation) for expectation in self.failed),
                where=f"gate of {self.subject}",
                left_behind="Nothing was published and the live index serves on",
                remedy=f"See {where}",
            )

    def _verdict(self, expectation: Expectation) -> str:
        meaning = expectation.meaning or expectation.name
        return f"{expectation.name} is {self.figures[expectation.name]:g}, {_bounds(expectation)} ({meaning})"


def measure(frame: DataFrame, expectations: Sequence[Expectation]) -> dict[str, float]:
    """Every expectation's figure in one pass over the frame: a suite run naively scans once for each.

    A second pass measures exactly what the first could not prove. An aggregate over no rows is null and counts as 0.
    """
    figures = _aggregates(frame, {each.name: each.aggregate for each in expectations})
    doubtful = {each.name: each.exact for each in expectations if each.exact and not each.holds(figures[each.name])}
    return {**figures, **_aggregates(frame, doubtful)} if doubtful else figures


def _aggregates(frame: DataFrame, aggregates: Mapping[str, str]) -> dict[str, float]:
    columns = [F.expr(f"cast({aggregate} AS double)").alias(name) for name, aggregate in aggregates.items()]
    (row,) = frame.agg(*columns).collect()
    return {name: value or 0.0 for name, value in row.asDict().items()}


def judge(subject: str, figures: Mapping[str, float], expectations: Sequence[Expectation]) -> GateResult:
    """Validate measured figures with Great Expectations, as one row whose columns are the figures."""
    result = _validate(subject, figures, expectations)
    # Results come in the order of the expectations.
    judged = zip(expectations, result.results, strict=True)
    failed = tuple(expectation for expectation, found in judged if not found.success)
    return GateResult(subject, dict(figures), failed, _render(result))


def write_page(result: GateResult, folder: Path) -> Path:
    """Write the result's HTML page and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.subject}.html"
    path.write_text(result.page, encoding="utf-8")
    return path


@cache
def _context() -> "AbstractDataContext":
    # Great Expectations reports its use over the network and draws progress bars unless told otherwise before
    # it is imported; it also takes seconds to import, which a run without anything to check must not pay.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    os.environ.setdefault("TQDM_DISABLE", "1")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _validate(
    subject: str, figures: Mapping[str, float], expectations: Sequence[Expectation]
) -> "ExpectationSuiteValidationResult":
    context = _context()
    import pandas
    from great_expectations.core import ExpectationSuite
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )

    between = [
        ExpectColumnValuesToBeBetween(
            column=expectation.name,
            min_value=expectation.minimum,
            max_value=expectation.maximum,
            meta={"notes": expectation.meaning},
        )
        for expectation in expectations
    ]
    row = pandas.DataFrame([dict(figures)])
    batch = context.data_sources.pandas_default.read_dataframe(row)
    return batch.validate(ExpectationSuite(name=subject, expectations=between))


def _render(result: "ExpectationSuiteValidationResult") -> str:
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    document = ValidationResultsPageRenderer().render(result)
    return str(DefaultJinjaPageView().render(document))  # type: ignore[no-untyped-call]


def _bounds(expectation: Expectation) -> str:
    if expectation.minimum is None:
        return f"wanted at most {expectation.maximum:g}"
    if expectation.maximum is None:
        return f"wanted at least {expectation.minimum:g}"
    return f"wanted {expectation.minimum:g} to {expectation.maximum:g}"
