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

SHOWN = ("stage", "state", "rows_in", "rows_out", "skipped", "quarantined", "prompt_tokens", "output_tokens", "seconds")
SUMMED = ("rows_in", "rows_out", "skipped", "quarantined", "prompt_tokens", "output_tokens", "seconds")
HEADINGS = ("out", "rejected", "tokens", "tokens/s", "seconds", "cost")


def newest_runs(warehouse: Warehouse, corpus: Corpus, limit: int, stage: str = "") -> list[dict[str, Any]]:
    """Runs, newest first, as `nightjar runs --json` prints them: sums over their stages, these, rates and cost.

    Args:
        stage: sums of this stage alone; runs without it are left out.
    """
    rows = warehouse.read(RUNS)
    rows = rows.where(F.col("stage") == stage) if stage else rows
    failed = F.max(F.when(F.col("state") == "failed", F.concat_ws(": ", "stage", "detail"))).alias("failure")
    sums = [F.sum(name).alias(name) for name in SUMMED]
    stages = F.sort_array(F.collect_list(F.struct("position", *SHOWN))).alias("stages")
    grouped = rows.groupBy("run_id", "ds").agg(*sums, F.min("started_at").alias("started_at"), failed, stages)
    newest = warehouse.arrow(RUNS, grouped.orderBy(F.desc("run_id")).limit(limit)).to_pylist()
    return [_with_rates(row, corpus.language_model.price) for row in newest]


def print_runs(console: Console, runs: Sequence[Mapping[str, Any]], stages: bool = False) -> None:
    """A line a run, and the reason of every failure.

    Args:
        stages: show under every run a line for each of its stages.
    """
    table = RichTable(title="runs, newest first", title_justify="left", padding=0)
    table.add_column("run", no_wrap=True)
    for heading in ("date", "state"):
        table.add_column(heading)
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for run in runs:
        table.add_row(run["run_id"], f"{run['ds']}", run["state"], *_figures(run))
        for stage in run["stages"] if stages else ():
            table.add_row(f"  {stage['stage']}", "", stage["state"], *_figures(stage))
    console.print(table)
    for run in runs:
        if run["failure"]:
            console.print(Text(f"{run['run_id']} failed in {run['failure']}"))


def _with_rates(row: dict[str, Any], price: float | None) -> dict[str, Any]:
    stages = [{name: stage[name] for name in SHOWN} | _rates(stage, price) for stage in row["stages"]]
    state = "failed" if row["failure"] else "completed"
    return row | {"state": state, **_rates(row, price), "stages": stages}


def _rates(row: Mapping[str, Any], price: float | None) -> dict[str, float | int | None]:
    tokens = row["prompt_tokens"] + row["output_tokens"]
    rate = tokens / row["seconds"] if row["seconds"] else 0.0
    return {"tokens": tokens, "tokens_per_second": rate, "cost": cost(tokens, price)}


def _figures(run: Mapping[str, Any]) -> list[str]:
    shown_cost = "" if run["cost"] is None else f"{run['cost']:,.2f}"
    counts = [f"{run[name]:,}" for name in ("rows_out", "quarantined", "tokens")]
    return [*counts, f"{run['tokens_per_second']:,.0f}", f"{run['seconds']:,.1f}", shown_cost]
