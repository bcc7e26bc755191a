"""A night is killed at many points of its life and run again: do the tables end as if it had never been killed?

    python -m bench.kills [--points N] [--json]

Points are spread over a night's progress, which is its commits and not its seconds: a busy machine moves seconds. Half
of them fall the moment a commit's log entry appears. The other half fall inside commits: data files have appeared and
no log entry names them yet. The last two fall while the index is being built, and when it is built and not yet live.
The kill is SIGKILL for the run, its JVM and its crawler at once.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import psutil
import typer
from deltalake import DeltaTable
from prefect.settings import PREFECT_API_URL

from bench.report import Measured, print_measured
from flows.temporary_api import temporary_api
from schemas.catalog import TABLES
from schemas.errors import NightjarError
from tests.small_site import write_corpus
from warehouse.bundle import open_version
from warehouse.pointer import live_pointer, read_pointer
from warehouse.registry import UNFINISHED, registry_of

T = TypeVar("T")
Contents = dict[str, list[dict[str, Any]]]

DS = "2026-01-01"
# What differs between any two runs, killed or not.
VOLATILE = {
    "run_id",  # names the run that wrote the row: the killed one or the second
    "fetched_at",  # moments
    "created_at",
    "built_at",
    "published_at",
    "last_modified",  # the small site's files are written anew for every night
    "path",  # of a bundle, below a root that is another for every night
    "table_versions",  # a batch that was cut becomes two commits, and so the tables' numbers move
}
# A killed run cannot write its ledger, and the second one counts what it found done: `runs` tells what happened.
COMPARED = tuple(name for name in TABLES if name != "runs")
# A column, the table that has it, and the table that it must be found in.
REFERENCES = (
    ("doc_id", "signatures", "documents"),
    ("doc_id", "chunks", "documents"),
    ("text_hash", "features", "chunks"),
    ("text_hash", "synthetic_queries", "chunks"),
    ("text_hash", "embeddings", "chunks"),
    ("question_id", "contexts", "questions"),
)


class Moment(Enum):
    """What a night is in the middle of."""

    COMMITTED = "after a commit"
    COMMITTING = "inside a commit"
    BUILDING = "while the index is built"
    BUILT = "before the index goes live"

    def come(self, root: Path) -> bool:
        """Whether a night is there."""
        if self is Moment.COMMITTING:
            return bool(open_commits(root))
        if self is Moment.BUILDING:
            return any(registry_of(root).folder.glob(f"{UNFINISHED}*"))
        if self is Moment.BUILT:
            return bool(finished_indexes(root)) and not read_pointer(root)
        return True


@dataclass(frozen=True)
class Point:
    """Where a night is killed: once it has made so many commits, at the first such moment."""

    commits: int
    moment: Moment

    def reached(self, root: Path) -> bool:
        return len(log_entries(root)) >= self.commits and self.moment.come(root)


@dataclass(frozen=True)
class Outcome:
    """Where a kill fell, seconds until it and of the second run, and how the tables then differ."""

    place: str
    killed: float
    resumed: float
    differences: list[str]

    def __str__(self) -> str:
        verdict = "; ".join(self.differences) or "equal"
        return f"{self.place:<44}{self.killed:>8.1f} s{self.resumed:>10.1f} s  {verdict}"


def log_entries(root: Path) -> list[Path]:
    """The commits of all tables."""
    return list(root.glob("tables/*/_delta_log/*.json"))


def open_commits(root: Path) -> list[str]:
    """Tables with data files that no log entry names."""
    # Data first: a file that is there before the log is listed, and that the log does not name, is not committed.
    data = [path for path in root.glob("tables/*/**/*.parquet") if "_delta_log" not in path.parts]
    named: set[str] = set().union(*map(named_files, log_entries(root)))
    return sorted({path.relative_to(root).parts[1] for path in data if path.name not in named})


@cache
def named_files(log_entry: Path) -> frozenset[str]:
    """Data files that a commit wrote. An entry never changes, and it appears whole."""
    actions = [json.loads(line) for line in log_entry.read_text().splitlines()]
    written = [action.get("add") or action.get("cdc") for action in actions]
    return frozenset(Path(file["path"]).name for file in written if file)


def points_over(root: Path, number: int) -> list[Point]:
    """Points spread over the commits of a whole night, after one and inside one in turn, and two of its index."""
    index = [Point(0, Moment.BUILDING), Point(0, Moment.BUILT)][: number - 1]
    entries = sorted(log_entries(root), key=lambda path: path.stat().st_mtime_ns)
    writing = [position for position, entry in enumerate(entries) if named_files(entry)]
    inside = evenly(writing, (number - len(index)) // 2)
    after = evenly(range(1, len(entries)), number - len(index) - len(inside))
    commits = [*((count, Moment.COMMITTED) for count in after), *((count, Moment.COMMITTING) for count in inside)]
    return [*(Point(count, moment) for count, moment in sorted(commits, key=lambda point: point[0])), *index]


def finished_indexes(root: str | Path) -> list[str]:
    """Index versions with a whole bundle."""
    return [index_id for index_id, kept in registry_of(root).versions().items() if kept.whole]


def evenly(items: Sequence[T], number: int) -> list[T]:
    """So many of the items, each from the middle of its share."""
    return [items[(2 * position + 1) * len(items) // (2 * number)] for position in range(number)]


def nightly_command(corpus: str, ds: str = DS) -> list[str]:
    """The night as a user runs it. The installed command may belong to another checkout than this one."""
    return [sys.executable, "-c", "from flows.cli import main; main()", "nightly", corpus, "--ds", ds]


def kill_when(command: list[str], reached: Callable[[], bool]) -> float | None:
    """Run a command until something is so, then kill it and everything it started.

    Returns:
        Seconds until the kill; None where the command ended before.
    """
    environment = {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())}
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None and not reached():
        time.sleep(0.005)
    seconds = time.perf_counter() - begun
    if process.poll() is not None:
        return None
    _kill(process)
    return seconds


def _kill(process: "subprocess.Popen[bytes]") -> None:
    # The crawler is in a group of its own and takes a moment to find. Stopped, the run and its JVM do not move on.
    os.killpg(process.pid, signal.SIGSTOP)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()
    psutil.wait_procs(children, timeout=30)


def killed_at(point: Point, folder: Path, expected: Contents) -> Outcome:
    """Kill a first night at a point, run it again, and compare."""
    folder.mkdir()
    corpus, root = write_corpus(folder), folder / "root"
    killed = kill_when(nightly_command(corpus), lambda: point.reached(root))
    if killed is None:
        return Outcome(f"not killed, after {point.commits} commits", 0, 0, ["the night ended before the point"])
    place = point.moment.value if point.commits == 0 else _place(root)
    begun = time.perf_counter()
    failure = run_night(corpus)
    resumed = time.perf_counter() - begun
    return Outcome(place, killed, resumed, [failure] if failure else differences(root, expected))


def run_night(corpus: str) -> str:
    """A night to its end, in this process: its Spark is warm after the first. Returns how it failed, if it did."""
    from flows.nightly import nightly

    try:
        nightly(corpus, date.fromisoformat(DS))
    except Exception as error:  # whatever stops a second run is what this program looks for
        return f"the second run failed: {error!r}"
    return ""


def _place(root: Path) -> str:
    """Where a kill fell, by what it left."""
    cut, entries = open_commits(root), log_entries(root)
    if cut:
        return f"inside commit {len(entries) + 1:>2}, to {', '.join(cut)}"
    newest = max(entries, key=lambda path: path.stat().st_mtime_ns)
    return f"after commit  {len(entries):>2}, to {newest.relative_to(root).parts[1]}"


def contents(root: str | Path) -> Contents:
    """What the tables hold, whichever run wrote it; a key that stands twice is there twice."""
    return {name: _rows(f"{root}/tables/{name}") for name in COMPARED}


def _rows(path: str) -> list[dict[str, Any]]:
    rows = DeltaTable(path).to_pyarrow_table().to_pylist()
    return [{name: value for name, value in row.items() if name not in VOLATILE} for row in rows]


def differences(root: str | Path, expected: Contents) -> list[str]:
    """How a warehouse differs from what a whole night makes, one line each."""
    found = contents(root)
    lines = [line for name in COMPARED for line in table_differences(name, expected[name], found[name])]
    return [*lines, *orphans(found), *index_differences(root, found)]


def table_differences(name: str, expected: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[str]:
    """Keys that stand twice, are lost, are unknown, or have other values."""
    wanted, there = _by_key(name, expected), _by_key(name, found)
    counts = {
        "twice": len(found) - len(there),
        "lost": len(wanted.keys() - there.keys()),
        "unknown": len(there.keys() - wanted.keys()),
        "with other values": sum(wanted[key] != there[key] for key in wanted.keys() & there.keys()),
    }
    return [f"{name}: {count} {what}" for what, count in counts.items() if count]


def _by_key(name: str, rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(row[part] for part in TABLES[name].key): row for row in rows}


def orphans(found: Contents) -> list[str]:
    """Tables with rows whose source is in no table."""
    lines = []
    for column, name, source in REFERENCES:
        known = {row[column] for row in found[source]}
        count = sum(row[column] not in known for row in found[name])
        if count:
            lines.append(f"{name}: {count} of no {source}")
    return lines


def index_differences(root: str | Path, found: Contents) -> list[str]:
    """The live index is whole, is the one that `indexes` calls published, and is the only finished one."""
    try:
        live = live_pointer(root).index_id
        open_version(root, live, verify=True)
    except NightjarError as error:
        return [str(error)]
    published = [row["index_id"] for row in found["indexes"] if row["state"] == "published"]
    told = {"published": published, "finished": finished_indexes(root)}
    return [
        f"{live} is live and {', '.join(names) or 'none'} {what}" for what, names in told.items() if names != [live]
    ]


def main(
    points: Annotated[int, typer.Option(min=1, help="Points at which a night is killed.")] = 20,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one JSON object; the table goes to stderr.")
    ] = False,
) -> None:
    """Kill and compare; exits 1 where tables differ."""
    table = sys.stderr if as_json else sys.stdout
    with tempfile.TemporaryDirectory() as scratch, temporary_api() as ready:
        ready()
        whole = Path(scratch) / "whole"
        whole.mkdir()
        begun = time.perf_counter()
        failure = run_night(write_corpus(whole))
        if failure:
            raise SystemExit(failure)
        expected = contents(whole / "root")
        seconds, commits = time.perf_counter() - begun, len(log_entries(whole / "root"))
        print(f"A night that nobody killed: {seconds:.1f} s, {commits} commits\n", file=table)
        print(f"{'point':<7}{'killed':<44}{'after':>10}{'resumed':>12}", file=table, flush=True)
        equal = 0
        for number, point in enumerate(points_over(whole / "root", points), 1):
            outcome = killed_at(point, Path(scratch) / str(number), expected)
            equal += not outcome.differences
            print(f"{number:<7}{outcome}", file=table, flush=True)
    print_measured([Measured("nights killed", points, equal, "as if never killed", 1)], as_json)
    raise typer.Exit(0 if equal == points else 1)


if __name__ == "__main__":
    typer.run(main)
