"""Does the memory of a writing job grow with what is pending?

    python -m bench.memory --rows 1000 100000

A recipe with the fake model is run over stored passages, each size in a process of its own. Figures are the most
memory that the process took beyond what it had when the job began, and the most that the JVM's heap held after a
collection; the largest size is compared with the smallest.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from datetime import date
from typing import Any

import psutil
from pyspark.sql import functions as F

from bench.report import Measured, print_measured
from models.fake import FAKE_MODEL_ID, FakeLanguageModel
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus
from tasks.orders import orders
from tasks.run import Run, Silent
from tasks.writing import write
from warehouse.session import open_session
from warehouse.tables import Warehouse

MIB = 1 << 20
# Nothing is exactly flat: buffers of Arrow, and what Python keeps for the next allocation.
GOAL = 1.25
SECONDS_BETWEEN_LOOKS = 0.05


def main() -> None:
    """Print the figures, or with --one those of one size as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(job(arguments.one)))
        return
    found = {rows: _in_its_own_process(rows) for rows in sorted(arguments.rows)}
    least, most = min(found), max(found)
    name = f"{least:,} rows"
    measured = [
        Measured(f"Python's peak over {most:,} rows, MiB", found[most]["peak"], found[least]["peak"], name, GOAL),
        Measured("JVM's heap after it, MiB", found[most]["heap"], found[least]["heap"], name, GOAL),
    ]
    print_measured(measured, arguments.json)


def job(rows: int) -> dict[str, float]:
    """Write keywords about so many passages."""
    with tempfile.TemporaryDirectory() as root:
        warehouse = Warehouse(open_session(), root)
        store(warehouse, rows)
        told: dict[str, Any] = {"name": "bench", "folder": {"path": ".", "url_prefix": "http://localhost/"}}
        corpus = Corpus.model_validate(told | {"recipes": [{"name": "keywords"}]})
        run = Run(warehouse, corpus, "bench", date(2026, 1, 1), Silent())
        model = FakeLanguageModel()
        watch = Watch()
        watch.start()
        write(run, orders(corpus, corpus.recipes, FAKE_MODEL_ID), lambda: model)
        watch.stopped.set()
        watch.join()
        (ledger,) = run.ledgers
        if ledger.rows_out != rows:
            raise SystemExit(f"{ledger.rows_out:,} rows were written, not {rows:,}")
        return {"peak": watch.peak / MIB, "heap": heap(warehouse) / MIB}


class Watch(threading.Thread):
    """The most resident memory of this process from now on."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.stopped = threading.Event()
        self.peak = 0

    def run(self) -> None:
        process = psutil.Process()
        while not self.stopped.wait(SECONDS_BETWEEN_LOOKS):
            self.peak = max(self.peak, process.memory_info().rss)


def store(warehouse: Warehouse, rows: int) -> None:
    """Passages of sixty words each, made by Spark."""
    path = warehouse.ensure(CHUNKS)
    stored = warehouse.frame(CHUNKS.rows([dict(CHUNKS.example)]))
    number = F.col("id").cast("string")
    words = F.concat_ws(" ", *(F.concat(F.lit(f"word{place}x"), number) for place in range(60)))
    changed = {"chunk_id": F.md5(number), "text_hash": F.md5(words), "text": words}
    frame = warehouse.spark.range(rows).crossJoin(F.broadcast(stored))
    frame = frame.withColumns(changed).select(*CHUNKS.schema.names)
    frame.write.format("delta").mode("append").save(path)


def heap(warehouse: Warehouse) -> float:
    """Bytes that the JVM's heap holds after a collection."""
    jvm: Any = warehouse.spark._jvm  # type: ignore[attr-defined]
    jvm.java.lang.System.gc()
    runtime = jvm.java.lang.Runtime.getRuntime()
    return float(runtime.totalMemory() - runtime.freeMemory())


def _in_its_own_process(rows: int) -> dict[str, float]:
    program = [sys.executable, "-m", "bench.memory", "--one", str(rows)]
    finished = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    main()
