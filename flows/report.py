"""What a run did, as one table for people and one object for machines."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from tasks.run import Run

# Tells apart the few that stand in one table.
SHOWN_OF_A_FINGERPRINT = 6
# Short enough for a terminal of eighty columns beside the longest stage name.
HEADINGS = ("in", "out", "skipped", "rejected", "tokens", "seconds")
FIGURES = ("rows_in", "rows_out", "skipped", "quarantined", "tokens", "seconds")


def summary(run: Run) -> dict[str, Any]:
    """The run so far: run_id, ds, state, root and stages in order."""
    stages = [
        {"stage": ledger.stage, "state": ledger.state, "seconds": round(ledger.seconds, 2)}
        | {name: getattr(ledger, name) for name in FIGURES if name != "seconds"}
        for ledger in run.ledgers
    ]
    failed = any(stage["state"] == "failed" for stage in stages)
    return {
        "run_id": run.run_id,
        "ds": run.ds.isoformat(),
        "state": "failed" if failed else "completed",
        "root": run.corpus.warehouse,
        "stages": stages,
    }


def print_closing_table(console: Console, last_run: Mapping[str, Any]) -> None:
    """Rows, tokens and seconds of every stage, then where the outputs are."""
    table = RichTable(title=f"run {last_run['run_id']} of {last_run['ds']}", title_justify="left", padding=0)
    table.add_column("stage", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for stage in last_run["stages"]:
        table.add_row(stage["stage"], *(_shown(stage[name]) for name in FIGURES))
    console.print(table)
    console.print(verdict(last_run))
    console.print(f"Tables, indexes and gate results: {last_run['root']}", soft_wrap=True)


def wrote_something(last_run: Mapping[str, Any]) -> bool:
    """False where a run found nothing to do."""
    return any(stage["rows_out"] or stage["tokens"] for stage in last_run["stages"])


def verdict(last_run: Mapping[str, Any]) -> str:
    """One line: what was written, or that nothing had to be."""
    if not wrote_something(last_run):
        return "Nothing was new: no model was called and no row was written."
    written = sum(stage["rows_out"] for stage in last_run["stages"])
    tokens = sum(stage["tokens"] for stage in last_run["stages"])
    return f"{written:,} rows written, {tokens:,} tokens read and written by models."


def _shown(figure: float) -> str:
    return f"{figure:,.1f}" if isinstance(figure, float) else f"{figure:,}"
