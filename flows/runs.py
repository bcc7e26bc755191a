"""The last runs: what they did, how fast, and what it cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from schemas.corpus import Corpus
from schemas.runs import RUNS
from tasks.planning import cost
from warehouse.tables import Warehouse

SUMMED = ("rows_in", "rows_out", "skipped", "quarantined", "prompt_tokens", "output_tokens", "seconds")
HEADINGS = ("out", "rejected", "tokens", "tokens/s", "seconds", "cost")


def newest_runs(warehouse: Warehouse, corpus: Corpus, limit: int, stage: str = "") -> list[dict[str, Any]]:
    """Runs, newest first, as `nightjar runs --json` prints them: sums over their stages, rates and cost.

    Args:
        stage: sums of this stage alone; runs without it are left out.
    """
    rows = warehouse.read(RUNS)
    rows = rows.where(F.col("stage") == stage) if stage else rows
    failed = F.max(F.when(F.col("state") == "failed", F.concat_ws(": ", "stage", "detail"))).alias("failure")
    sums = [F.sum(name).alias(name) for name in SUMMED]
    grouped = rows.groupBy("run_id", "ds").agg(*sums, F.min("started_at").alias("started_at"), failed)
    newest = warehouse.arrow(RUNS, grouped.orderBy(F.desc("run_id")).limit(limit)).to_pylist()
    return [_with_rates(row, corpus.language_model.price) for row in newest]


def print_runs(console: Console, runs: Sequence[Mapping[str, Any]]) -> None:
    """A line a run, and the reason of every failure."""
    table = RichTable("run", "date", "state", title="runs, newest first", title_justify="left", padding=0)
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for run in runs:
        table.add_row(run["run_id"], f"{run['ds']}", run["state"], *_figures(run))
    console.print(table)
    for run in runs:
        if run["failure"]:
            console.print(Text(f"{run['run_id']} failed in {run['failure']}"))


def _with_rates(row: dict[str, Any], price: float | None) -> dict[str, Any]:
    tokens = row["prompt_tokens"] + row["output_tokens"]
    return row | {
        "state": "failed" if row["failure"] else "completed",
        "tokens": tokens,
        "tokens_per_second": tokens / row["seconds"] if row["seconds"] else 0.0,
        "cost": cost(tokens, price),
    }


def _figures(run: Mapping[str, Any]) -> list[str]:
    shown_cost = "" if run["cost"] is None else f"{run['cost']:,.2f}"
    counts = [f"{run[name]:,}" for name in ("rows_out", "quarantined", "tokens")]
    return [*counts, f"{run['tokens_per_second']:,.0f}", f"{run['seconds']:,.1f}", shown_cost]
