"""Spark in this process, a Spark Connect server and Sail do the same to the same tables."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from schemas.questions import QUESTIONS
from tasks.crawling.site import free_port
from tests.warehouse.conformance import asked, maintenance, operations, stored
from warehouse.session import connect_server
from warehouse.tables import Warehouse

pytestmark = pytest.mark.slow
LACKING = (
    "a feed of changes",
    "compaction",
    "vacuum",
    "going back to a version",
    "a table's history",
    "a way to add a column to a stored table",
)
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[str]:
    """Address of a Spark Connect server with Delta, in a process of its own."""
    port = free_port()
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(connect_server(port), stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(port, server)
        yield f"sc://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail("the Spark Connect server died")


@pytest.fixture(scope="module")
def here(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What Spark in this process does: the operations, then maintenance."""
    warehouse = Warehouse(spark, str(tmp_path_factory.mktemp("here")))
    return [operations(warehouse), maintenance(warehouse)]


def on(engine: str, root: str | Path) -> list[Any]:
    program = [sys.executable, "-m", "tests.warehouse.conformance", engine, str(root)]
    there = subprocess.run(program, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True)
    return list(json.loads(there.stdout.splitlines()[-1]))


def test_the_operations_are_what_they_should_be(here: list[Any]) -> None:
    figures, looked_after = here
    assert figures["appended"] == [2, 1]
    assert [row["question_id"] for row in figures["questions"]] == ["a", "b", "c", "d"]
    assert [row["asked_by"] for row in looked_after["widened"]] == [None, "a test"]
    assert [row["question_id"] for row in looked_after["restored questions"]] == ["a", "b"]


def test_spark_connect_does_what_spark_in_this_process_does(here: list[Any], connect: str, tmp_path: Path) -> None:
    assert on(connect, tmp_path / "connect") == here


def test_sail_does_what_spark_does_and_says_what_it_lacks(here: list[Any], root: str) -> None:
    figures, lacking = on("sail", root)
    assert figures == here[0]
    assert lacking == [f"Sail does not have {what}" for what in LACKING]


def test_spark_goes_on_where_sail_stopped(warehouse: Warehouse) -> None:
    on("sail", Path(warehouse.root))
    assert warehouse.append(QUESTIONS, asked("d", "e")) == 1


def test_sail_reads_what_spark_wrote_and_says_that_it_cannot_write_there(warehouse: Warehouse) -> None:
    warehouse.append(QUESTIONS, asked("a"))
    program = """from tests.warehouse.conformance import *
there = Warehouse(open_session("sail"), sys.argv[1])
print(len(stored(there, QUESTIONS)))
try:
    append(there, "b")
except WarehouseError as error:
    print(error.what)"""
    command = [sys.executable, "-c", program, warehouse.root]
    read, refused = subprocess.check_output(command, cwd=CHECKOUT, text=True).splitlines()
    assert read == "1"
    assert refused.startswith("this engine cannot write what Spark has made")
    assert len(stored(warehouse, QUESTIONS)) == 1
