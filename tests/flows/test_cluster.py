"""A night on a Spark standalone cluster makes the tables that a night in one process makes."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyspark
import pytest

from bench.kills import contents, differences, nightly_command
from tasks.crawling.site import free_port
from tests.conftest import Night
from tests.small_site import write_corpus

pytestmark = [pytest.mark.slow, pytest.mark.long]

SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"
DEPLOY = "org.apache.spark.deploy"
WORKERS = 2
LONGEST_START = 300.0


@dataclass(frozen=True)
class Cluster:
    """A master and its workers on loopback."""

    master: str
    page: str
    environment: dict[str, str]

    def state(self) -> dict[str, Any]:
        """What the master says of its workers and of the applications that ran."""
        try:
            return httpx.get(f"{self.page}/json/").raise_for_status().json()
        except httpx.HTTPError:
            return {"aliveworkers": 0}

    def applications(self) -> list[str]:
        """Names of those that ran, and of those that the master does not know to have ended."""
        state = self.state()
        return [each["name"] for kind in ("activeapps", "completedapps") for each in state.get(kind, ())]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "spark-defaults.conf").write_text("spark.executor.memory 512m\nspark.executor.cores 1\n")
    loopback = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_CONF_DIR": str(folder), "SPARK_DAEMON_MEMORY": "256m"}
    port, page = free_port(), free_port()
    cluster = Cluster(f"spark://127.0.0.1:{port}", f"http://127.0.0.1:{page}", {**os.environ, **loopback})
    at_loopback = ["--host", "127.0.0.1"]
    commands = [["master.Master", *at_loopback, "--port", str(port), "--webui-port", str(page)]]
    of_a_worker = ["--cores", "1", "--memory", "768m", "--webui-port", "0"]
    commands += [
        ["worker.Worker", *at_loopback, *of_a_worker, "--work-dir", str(folder / f"worker{number}"), cluster.master]
        for number in range(WORKERS)
    ]
    with ExitStack() as started, (folder / "cluster.log").open("w") as log:
        for role, *options in commands:
            command = [str(SPARK_CLASS), f"{DEPLOY}.{role}", *options]
            process = subprocess.Popen(command, env=cluster.environment, stdout=log, stderr=log)
            started.callback(process.wait)
            started.callback(process.terminate)
        deadline = time.monotonic() + LONGEST_START
        while cluster.state()["aliveworkers"] < WORKERS:
            assert time.monotonic() < deadline, Path(log.name).read_text()
            time.sleep(0.2)
        yield cluster


def test_a_night_on_a_cluster_is_a_night_in_one_process(
    cluster: Cluster, night: Night, prefect_api: str, tmp_path: Path
) -> None:
    corpus = Path(write_corpus(tmp_path, spark=cluster.master))
    text = corpus.read_text()
    assert "[encoder]\n" in text
    corpus.write_text(text.replace("[encoder]\n", '[encoder]\nwhere = "spark"\n') + '\n[workers]\nwhere = "spark"\n')
    environment = {**cluster.environment, "PREFECT_API_URL": prefect_api}
    done = subprocess.run(nightly_command(str(corpus)), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + LONGEST_START
    while not (ran := cluster.applications()):
        assert time.monotonic() < deadline, "no application ran on the cluster"
        time.sleep(0.2)
    assert ran == ["nightjar"]
    assert differences(tmp_path / "root", contents(Path(night.corpus).parent / "root")) == []
