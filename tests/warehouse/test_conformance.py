"""Spark in this process and a Spark Connect server do the same to the same tables."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.crawling.site import free_port
from tests.warehouse.conformance import operations
from warehouse.session import connect_server
from warehouse.tables import Warehouse

pytestmark = pytest.mark.slow
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


def test_spark_connect_does_what_spark_in_this_process_does(warehouse: Warehouse, connect: str, tmp_path: Path) -> None:
    here = operations(warehouse)
    program = [sys.executable, "-m", "tests.warehouse.conformance", connect, str(tmp_path / "connect")]
    there = subprocess.run(program, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True)
    assert json.loads(there.stdout.splitlines()[-1]) == here
    assert here["appended"] == [2, 1]
    assert [row["question_id"] for row in here["restored questions"]] == ["a", "b"]
