"""Worker processes: what a source does to its process costs that source alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from schemas.errors import WorkerError
from schemas.quarantine import Reason
from tasks.outcome import Outcome, together
from tasks.worker import Order
from tasks.workers import SLICE_ROWS, Piecework, Workers
from tests.tasks.hostile import ROWS

SOURCES = pa.schema([("key", pa.string())])
LIMITS = {"seconds": 0.5, "memory_mb": 2048}
ORDER = Order("tests.tasks.hostile:work", {"greeting": "good night"}, **LIMITS)


def worked(*keys: str, order: Order = ORDER, count: int = 1) -> Outcome:
    with Workers(Piecework(order, "key", SOURCES, ROWS), count) as workers:
        return together([outcome for _, outcome in workers.outcomes([pa.table({"key": keys}, schema=SOURCES)])])


def test_a_source_that_ends_its_process_is_the_only_one_lost() -> None:
    outcome = worked("a", "slow", "b", "noise", "abort", "empty", "exit", "large", "c")
    assert outcome.rows["key"].to_pylist() == ["a", "b", "noise", "c"]
    assert outcome.rows["words"].to_pylist()[0] == ["good night", "a"]
    assert {rejection.source_key: (rejection.reason, rejection.detail) for rejection in outcome.rejections} == {
        "slow": (Reason.TIME_LIMIT, "slow: took longer than 0.5 s"),
        "abort": (Reason.WORKER_DIED, "abort: ended its worker process (SIGABRT)"),
        "empty": (Reason.EMPTY_TEXT, "empty"),
        "large": (Reason.MEMORY_LIMIT, "large: wanted more than 2,048 MiB"),
        "exit": (Reason.WORKER_DIED, "exit: ended its worker process (exit status 3)"),
    }
    assert os.getpid() not in outcome.rows["worker"].to_pylist()


def test_many_sources_come_out_in_order_whoever_did_them() -> None:
    keys = [f"{number:03}" for number in range(60)]
    outcome = worked(*keys, count=2)
    assert outcome.rows["key"].to_pylist() == keys
    assert len(set(outcome.rows["worker"].to_pylist())) <= 2


def test_no_more_processes_start_than_there_is_work_for() -> None:
    before = len(psutil.Process().children())
    with Workers(Piecework(ORDER, "key", SOURCES, ROWS), count=2) as workers:
        assert list(workers.outcomes([])) == []
        assert len(psutil.Process().children()) == before
        workers.start(SLICE_ROWS)
        assert len(psutil.Process().children()) == before + 1
    assert len(psutil.Process().children()) == before


@pytest.mark.parametrize(
    ("order", "keys", "message"),
    [
        (ORDER, ["a", "refuse"], "no readable tokenizer"),
        (Order("tests.tasks.hostile:missing", {}, **LIMITS), ["a"], "AttributeError"),
    ],
)
def test_work_that_cannot_be_done_stops_the_run_in_one_line(order: Order, keys: list[str], message: str) -> None:
    with pytest.raises(WorkerError, match=message):
        worked(*keys, order=order)


PARENT = """
import os, pyarrow as pa
from tasks.workers import Piecework, Workers
from tests.tasks.test_workers import ORDER, SOURCES
from tests.tasks.hostile import ROWS
with Workers(Piecework(ORDER, "key", SOURCES, ROWS), 1) as workers:
    (_, outcome), = workers.outcomes([pa.table({"key": ["a"]}, schema=SOURCES)])
    print(outcome.rows["worker"][0].as_py(), flush=True)
    input()
"""


def test_a_killed_parent_leaves_no_worker_behind() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    gone_or_ending = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    for _ in range(200):
        if not psutil.pid_exists(worker) or psutil.Process(worker).status() in gone_or_ending:
            return
        time.sleep(0.05)
    raise AssertionError("the worker goes on without its parent")


def test_workers_import_neither_spark_nor_models() -> None:
    heavy = "{'pyspark', 'torch', 'transformers', 'vllm', 'prefect'}"
    code = f"import sys, tasks.worker, tasks.extract, tasks.chunk; print({heavy} & sys.modules.keys())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "set()"
