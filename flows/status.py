"""The state of a corpus: its tables, what is live, and the last run."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as RichTable

from flows.opening import open_run, open_warehouse
from flows.planning import pending_now
from flows.quarantine import quarantined
from flows.report import print_closing_table
from flows.runs import newest_runs
from schemas.catalog import TABLES
from schemas.corpus import Corpus
from schemas.pages import PAGES
from schemas.runs import RUNS
from schemas.signatures import SIGNATURES
from tasks.nights import last_night, missed_nights
from tasks.run import Run
from warehouse.pointer import read_pointer
from warehouse.tables import Warehouse

SHOWN_RUNS = 5
OF_A_RUN = ("run_id", "ds", "state", "rows_out", "tokens", "tokens_per_second", "seconds", "cost", "failure")


def status_of(corpus: Corpus) -> dict[str, Any]:
    """Tables (path, rows, version), duplicates, live index and last run, as `nightjar status --json` prints them.

    The live index's `path` is relative to `indexes_root`, which is the root unless the corpus names a store.
    """
    warehouse = open_warehouse(corpus)
    tables = {
        table.name: {
            "path": warehouse.path(table),
            "rows": warehouse.read(table).count(),
            "version": warehouse.version(table),
        }
        for table in TABLES.values()
    }
    pointer = read_pointer(corpus.indexes)
    return {
        "corpus": corpus.name,
        "root": corpus.warehouse,
        "indexes_root": corpus.indexes,
        "tables": tables,
        "duplicates": warehouse.read(SIGNATURES).where("live and duplicate_of is not null").count(),
        "live_index": pointer and {name: getattr(pointer, name) for name in ("index_id", "path", "published_at")},
        "last_run": last_run(warehouse, corpus),
    }


def watched(corpus_name: str) -> dict[str, Any]:
    """What changes from night to night, as `nightjar status --json` prints it beside `status_of`.

    Returns:
        `freshness` (hours since the live index was published, last_night, missed_nights, newest_page), `last_runs`,
        `pending` (sources by stage), and `quarantine` (open rows by stage and reason).
    """
    with open_run(corpus_name, None) as run:
        warehouse = run.warehouse
        found = newest_runs(warehouse, run.corpus, SHOWN_RUNS)
        return {
            "freshness": _freshness(run),
            "last_runs": [{name: row[name] for name in OF_A_RUN} for row in found],
            "pending": pending_now(run),
            "quarantine": quarantined(warehouse)["open"],
        }


def _freshness(run: Run) -> dict[str, Any]:
    pointer, last = read_pointer(run.corpus.indexes), last_night(run.warehouse)
    published = datetime.fromisoformat(pointer.published_at) if pointer else None
    newest = run.warehouse.read(PAGES).agg(F.max("ds").alias("ds")).collect()[0]["ds"]
    return {
        "published_hours_ago": published and round((datetime.now(UTC) - published).total_seconds() / 3600, 2),
        "last_night": last and last.isoformat(),
        "missed_nights": [f"{day}" for day in missed_nights(last, run.ds)],
        "newest_page": newest and newest.isoformat(),
    }


def last_run(warehouse: Warehouse, corpus: Corpus) -> dict[str, Any] | None:
    """The newest run in `runs`, with its stages in order."""
    runs = warehouse.read(RUNS)
    newest = runs.join(runs.select(F.max("run_id").alias("run_id")), "run_id")
    rows = warehouse.arrow(RUNS, newest.orderBy("position")).to_pylist()
    return _as_last_run(rows, corpus.warehouse) if rows else None


def print_status(console: Console, found: Mapping[str, Any]) -> None:
    """The status for people, `watched` included."""
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
    for line in _watched_lines(found):
        console.print(line)
    if found["last_run"]:
        print_closing_table(console, found["last_run"])
    else:
        console.print(f"Nothing has run yet: nightjar nightly {found['corpus']}")


def _watched_lines(found: Mapping[str, Any]) -> list[str]:
    fresh, missed = found["freshness"], found["freshness"]["missed_nights"]
    since = f"{len(missed)}, {missed[0]} to {missed[-1]}" if missed else "none"
    pending = [f"{name} {count:,}" for name, count in found["pending"].items() if count]
    rejected = [f"{row['stage']} {row['reason']} {row['rows']:,}" for row in found["quarantine"]]
    failed = [row["run_id"] for row in found["last_runs"] if row["state"] == "failed"]
    return [
        f"Last night: {fresh['last_night'] or 'none'}. Missed since: {since}.",
        f"Pending: {', '.join(pending) or 'nothing'}.",
        f"In quarantine: {', '.join(rejected) or 'nothing'}.",
        f"Of the last {len(found['last_runs'])} runs failed: {', '.join(failed) or 'none'}.",
    ]


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
