"""A night is killed at many points of its life and run again: do the tables end as if it had never been killed?

    python -m bench.kills [--points N]

A night's progress is counted in the files under its tables: data files and log entries, as they appear. Points are
spread evenly over that count, so that they fall in the creation of tables, in every stage, between commits and inside
them (data files written, log entry not yet). The kill is SIGKILL for the run and its JVM at once; the crawling child
is in a session of its own and ends by itself when its input closes.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from prefect.settings import PREFECT_API_URL

from bench.report import Measured, print_measured
from flows.temporary_api import temporary_api
from schemas.catalog import TABLES
from tests.small_site import write_corpus

DS = "2026-01-01"
# What differs between any two runs, killed or not.
VOLATILE = {"run_id", "created_at", "fetched_at", "built_at", "published_at", "path", "table_versions", "last_modified"}
# The ledger of runs and the quarantine tell what happened, a killed run among it.
COMPARED = ("pages", "documents", "chunks", "features", "synthetic_queries", "contexts", "embeddings", "indexes")


def contents(root: Path) -> dict[str, list[dict[str, Any]]]:
    """What the tables hold, whichever run wrote it; a key that stands twice is there twice."""
    return {name: _rows(root / "tables" / name, TABLES[name].key) for name in COMPARED}


def files(root: Path) -> list[Path]:
    """Data files and log entries of all tables."""
    return [*root.glob("tables/*/**/*.parquet"), *root.glob("tables/*/_delta_log/*.json")]


def kill_when(command: list[str], reached: Callable[[], bool]) -> bool:
    """Run a command until something is so, then kill its process group; False where it ended before."""
    environment = {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=environment, start_new_session=True, **quiet)
    while process.poll() is None and not reached():
        time.sleep(0.002)
    killed = process.poll() is None
    if killed:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return killed


def nightly_command(corpus: str) -> list[str]:
    """The night as a user runs it."""
    return [str(Path(sys.executable).with_name("nightjar")), "nightly", corpus, "--ds", DS]


def killed_at(count: int, folder: Path, expected: dict[str, list[dict[str, Any]]]) -> tuple[str, list[str]]:
    """Kill a first night once its tables have so many files, run it again, and compare.

    Returns:
        What the kill left unfinished, and the tables that differ.
    """
    from flows.nightly import nightly

    folder.mkdir()
    corpus, root = write_corpus(folder), folder / "root"
    if not kill_when(nightly_command(corpus), lambda: len(files(root)) >= count):
        raise SystemExit(f"the night ended before its tables had {count} files")
    left = unfinished(root)
    nightly(corpus, DS)
    found = contents(root)
    return left, [name for name in COMPARED if found[name] != expected[name]]


def unfinished(root: Path) -> str:
    """Tables with data files outside their latest version: a commit cut short, or files that a merge has replaced."""
    cut = [path.name for path in sorted(root.glob("tables/*")) if _uncommitted(path)]
    return f"inside a commit to {', '.join(cut)}" if cut else "between commits"


def _uncommitted(table: Path) -> bool:
    data = {path.name for path in table.glob("**/*.parquet") if "_delta_log" not in path.parts}
    try:
        return bool(data - {Path(name).name for name in DeltaTable(str(table)).file_uris()})
    except TableNotFoundError:
        return True


def _rows(path: Path, key: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = DeltaTable(str(path)).to_pyarrow_table().to_pylist()
    kept = [{name: value for name, value in row.items() if name not in VOLATILE} for row in rows]
    return sorted(kept, key=lambda row: [str(row[part]) for part in key])


def main(
    points: Annotated[int, typer.Option(min=1, help="Points at which a night is killed.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Kill and compare; exits 1 where tables differ."""
    from flows.nightly import nightly

    with tempfile.TemporaryDirectory() as scratch, temporary_api() as ready:
        ready()
        whole = Path(scratch) / "whole"
        whole.mkdir()
        nightly(write_corpus(whole), DS)
        expected, total = contents(whole / "root"), len(files(whole / "root"))
        wrong = 0
        for point in range(1, points + 1):
            count = point * total // (points + 1)
            left, differing = killed_at(count, Path(scratch) / str(point), expected)
            wrong += bool(differing)
            verdict = f"differs in {', '.join(differing)}" if differing else "equal"
            print(f"killed at file {count:>4} of {total}  {verdict:<12}{left}", file=sys.stderr)
    print_measured([Measured("nights killed", points, points - wrong, "as if never killed", 1)], as_json)
    raise typer.Exit(1 if wrong else 0)


if __name__ == "__main__":
    typer.run(main)
