"""The state of a corpus: its tables, what is live, and the last run."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as RichTable

from flows.opening import open_warehouse
from flows.report import print_closing_table
from schemas.catalog import TABLES
from schemas.corpus import Corpus
from schemas.runs import RUNS
from schemas.signatures import SIGNATURES
from warehouse.pointer import read_pointer
from warehouse.tables import Warehouse


def status_of(corpus: Corpus) -> dict[str, Any]:
    """Tables (path, rows, version), duplicates, live index and last run, as `nightjar status --json` prints them."""
    warehouse = open_warehouse(corpus)
    tables = {
        table.name: {
            "path": warehouse.path(table),
            "rows": warehouse.read(table).count(),
            "version": warehouse.version(table),
        }
        for table in TABLES.values()
    }
    pointer = read_pointer(corpus.warehouse)
    return {
        "corpus": corpus.name,
        "root": corpus.warehouse,
        "tables": tables,
        "duplicates": warehouse.read(SIGNATURES).where("live and duplicate_of is not null").count(),
        "live_index": pointer and {name: getattr(pointer, name) for name in ("index_id", "path", "published_at")},
        "last_run": last_run(warehouse, corpus),
    }


def last_run(warehouse: Warehouse, corpus: Corpus) -> dict[str, Any] | None:
    """The newest run in `runs`, with its stages in order."""
    runs = warehouse.read(RUNS)
    newest = runs.join(runs.select(F.max("run_id").alias("run_id")), "run_id")
    rows = warehouse.arrow(RUNS, newest.orderBy("position")).to_pylist()
    return _as_last_run(rows, corpus.warehouse) if rows else None


def print_status(console: Console, found: Mapping[str, Any]) -> None:
    """The status for people."""
    table = RichTable(title=f"{found['corpus']}: tables", title_justify="left")
    table.add_column("table")
    table.add_column("rows", justify="right")
    table.add_column("version", justify="right")
    for name, facts in found["tables"].items():
        table.add_row(name, f"{facts['rows']:,}", str(facts["version"]))
    console.print(table)
    if found["duplicates"]:
        console.print(f"{found['duplicates']:,} documents repeat another: `duplicate_of` in signatures says which.")
    live = found["live_index"]
    console.print(f"Live index: {live['index_id']}, published {live['published_at']}" if live else "Nothing is live.")
    if found["last_run"]:
        print_closing_table(console, found["last_run"])
    else:
        console.print(f"Nothing has run yet: nightjar nightly {found['corpus']}")


def _as_last_run(rows: list[dict[str, Any]], root: str) -> dict[str, Any]:
    failed = [row["stage"] for row in rows if row["state"] == "failed"]
    for row in rows:
        row["tokens"] = row["prompt_tokens"] + row["output_tokens"]
    shown = ("stage", "state", "rows_in", "rows_out", "skipped", "quarantined", "tokens", "seconds", "detail")
    return {
        "run_id": rows[0]["run_id"],
        "ds": rows[0]["ds"].isoformat(),
        "state": "failed" if failed else "completed",
        "root": root,
        "stages": [{name: row[name] for name in shown} for row in rows],
    }
