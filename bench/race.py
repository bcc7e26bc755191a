"""Several processes write overlapping keys into one table: does every key stand once, and is every write there?

    python -m bench.race [--processes N] [--commits N]

Each process has a Spark of its own and commits batches of ten keys, half of which another process writes too.
"""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from deltalake import DeltaTable

from bench.report import Measured, print_measured
from schemas.questions import QUESTIONS
from warehouse.session import open_session
from warehouse.tables import Warehouse

KEYS_PER_COMMIT = 10


def keys_of(writer: int, commit: int, writers: int) -> list[str]:
    """Half of a batch is the writer's own; the other half is what its neighbour writes in the same round."""
    own = [f"{commit}-{writer}-{number}" for number in range(KEYS_PER_COMMIT // 2)]
    neighbour = (writer + 1) % writers
    return own + [f"{commit}-{neighbour}-{number}" for number in range(KEYS_PER_COMMIT // 2)]


def write(root: str, writer: int, writers: int, commits: int) -> None:
    """What each process does."""
    warehouse = Warehouse(open_session("local[1]", memory_gib=1.0), root)
    warehouse.ensure(QUESTIONS)
    written = 0
    for commit in range(commits):
        rows = [dict(QUESTIONS.example) | {"question_id": key} for key in keys_of(writer, commit, writers)]
        written += warehouse.append(QUESTIONS, QUESTIONS.rows(rows))
    print(written, flush=True)


def race(processes: int, commits: int) -> dict[str, float]:
    """Run the writers and count what is in the table afterwards.

    Returns:
        keys expected, keys found, rows found, rows the writers say they wrote, and seconds.
    """
    with tempfile.TemporaryDirectory() as root:
        Warehouse(open_session("local[1]", memory_gib=1.0), root).ensure(QUESTIONS)
        begun = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "bench.race",
            "--root",
            root,
            "--processes",
            str(processes),
            "--commits",
            str(commits),
        ]
        writers = [
            subprocess.Popen([*command, "--writer", str(number)], stdout=subprocess.PIPE, text=True)
            for number in range(processes)
        ]
        said = [writer.communicate()[0] for writer in writers]
        if any(writer.returncode for writer in writers):
            raise SystemExit("a writer gave up; its own message is above")
        written = [int(count) for count in said]
        seconds = time.perf_counter() - begun
        stored = DeltaTable(str(Path(root) / "tables" / QUESTIONS.name)).to_pyarrow_table(columns=["question_id"])
    found = Counter(stored["question_id"].to_pylist())
    expected = {
        key for writer in range(processes) for commit in range(commits) for key in keys_of(writer, commit, processes)
    }
    if set(found) != expected:
        raise SystemExit(f"{len(expected - set(found))} keys are lost, {len(set(found) - expected)} are unknown")
    return {
        "keys": len(expected),
        "rows": len(stored),
        "keys that stand twice": sum(count > 1 for count in found.values()),
        "rows the writers counted": sum(written),
        "seconds": round(seconds, 1),
    }


def main(
    processes: Annotated[int, typer.Option(min=2, help="Writers at the same time.")] = 4,
    commits: Annotated[int, typer.Option(min=1, help="Commits of each.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    root: Annotated[str, typer.Option(hidden=True)] = "",
    writer: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """Race the writers and print what is in the table afterwards."""
    if root:
        write(root, writer, processes, commits)
        return
    found = race(processes, commits)
    keys = found["keys"]
    shown = {name: value for name, value in found.items() if name.startswith("rows")}
    print_measured([Measured(name, value, keys, "distinct keys", 1) for name, value in shown.items()], as_json)


if __name__ == "__main__":
    typer.run(main)
