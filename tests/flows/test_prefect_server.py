"""A real Prefect server with a process worker: deployments, a schedule that fires, a backfill from its own CLI."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import httpx
import pytest
import yaml

from tasks.crawling.site import free_port
from tests.small_site import write_corpus

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[2]
DEPLOYED = ("nightly", "backfill", "refresh", "evaluate", "maintain")
LONGEST_WAIT = 600.0
# So short that a second night is due while the first is at work.
BETWEEN_NIGHTS = timedelta(seconds=10)
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Server:
    """A running server and how to talk to it."""

    environment: dict[str, str]
    api: httpx.Client
    corpus: str

    def prefect(self, *arguments: str) -> str:
        command = [str(BIN / "prefect"), "--no-prompt", *arguments]
        done = subprocess.run(command, cwd=CHECKOUT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deployment(self, name: str) -> dict[str, Any]:
        return self.api.get(f"/deployments/name/{name}/{name}").raise_for_status().json()

    def runs_of(self, name: str) -> list[dict[str, Any]]:
        asked = {"deployments": {"id": {"any_": [self.deployment(name)["id"]]}}, "sort": "EXPECTED_START_TIME_ASC"}
        return self.api.post("/flow_runs/filter", json=asked).raise_for_status().json()

    def artifacts_of(self, run: dict[str, Any]) -> dict[str, Any]:
        asked = {"flow_runs": {"id": {"any_": [run["id"]]}}}
        found = self.api.post("/artifacts/filter", json=asked).raise_for_status().json()
        return {artifact["key"]: artifact["data"] for artifact in found}


def wait_until(so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while not so():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(2)


@contextmanager
def running(command: list[str], environment: dict[str, str], log: TextIO) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def answers(api: httpx.Client) -> bool:
    try:
        return api.get("/health").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("prefect")
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # SQLite has one writer, who may be slow on a busy machine.
        "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
        "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "60",
        # Two nights ahead are enough, where a server plans for an hour and looks once a minute.
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
        "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_RUNS": "1",
        "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME": "PT20S",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH")))),
        "COLUMNS": "200",
    }
    command = [str(BIN / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    with (
        (folder / "server.log").open("w") as log,
        running(command, environment, log),
        httpx.Client(base_url=environment["PREFECT_API_URL"], timeout=300) as api,
    ):
        wait_until(lambda: answers(api), f"the server answers; see {log.name}")
        yield Server(environment, api, write_corpus(folder))


@pytest.fixture(scope="module")
def deployed(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The deployments as they are committed, then pointed at a small corpus and without their own schedules."""
    server.prefect("work-pool", "create", "nightjar", "--type", "process")
    server.prefect("deploy", "--all")
    settings = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text())
    for deployment in settings["deployments"]:
        deployment["parameters"]["corpus"] = server.corpus
        deployment.pop("schedules", None)
    small = tmp_path_factory.mktemp("small") / "prefect.yaml"
    small.write_text(yaml.safe_dump(settings))
    committed = {name: server.deployment(name) for name in DEPLOYED}
    assert [schedule["schedule"] for schedule in committed["nightly"]["schedules"]] == [
        {"cron": "0 2 * * *", "timezone": "UTC", "day_or": True}
    ]
    server.prefect("deploy", "--all", "--prefect-file", str(small))
    return server


@pytest.fixture(scope="module")
def worked(deployed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With a worker that takes up what is due."""
    command = [str(BIN / "prefect"), "worker", "start", "--pool", "nightjar"]
    with (
        (tmp_path_factory.mktemp("worker") / "worker.log").open("w") as log,
        running(command, deployed.environment, log),
    ):
        yield deployed


def test_every_deployment_has_a_form_and_a_limit(deployed: Server) -> None:
    for name in DEPLOYED:
        deployment = deployed.deployment(name)
        assert "nightjar" in deployment["tags"]
        assert deployment["global_concurrency_limit"]["limit"] == 1
        fields = deployment["parameter_openapi_schema"]["properties"]
        assert all(field["description"] for field in fields.values()), name
    stages = deployed.deployment("backfill")["parameter_openapi_schema"]["definitions"]["Part"]["enum"]
    assert {"extract", "features", "index"} <= set(stages)


def test_the_shipped_automations_are_taken(server: Server) -> None:
    said = server.prefect("automation", "create", "--from-file", "automations.yaml")
    assert "Created 2 automation(s)" in said


@pytest.mark.long
def test_a_scheduled_night_is_run_by_a_worker_and_a_second_one_steps_back(worked: Server) -> None:
    def ended(state: str) -> list[dict[str, Any]]:
        return [run for run in worked.runs_of("nightly") if run["state_type"] == state]

    nightly = worked.deployment("nightly")["id"]
    schedule = {"schedule": {"interval": BETWEEN_NIGHTS.total_seconds()}, "active": True}
    made = worked.api.post(f"/deployments/{nightly}/schedules", json=[schedule]).raise_for_status().json()
    try:
        wait_until(lambda: bool(ended("CANCELLED")), "a second night is cancelled while the first is at work")
    finally:
        for each in made:
            worked.api.delete(f"/deployments/{nightly}/schedules/{each['id']}").raise_for_status()
    wait_until(lambda: bool(ended("COMPLETED") or ended("FAILED") or ended("CRASHED")), "the first night ends")
    (first,) = ended("COMPLETED")
    assert "auto-scheduled" in first["tags"]
    assert first["name"] == f"nightly-birds-{datetime.now(UTC):%Y-%m-%d}"
    assert "concurrency limit" in ended("CANCELLED")[0]["state"]["message"].lower()
    artifacts = worked.artifacts_of(first)
    assert artifacts.keys() >= {"closing-birds", "gates-birds", "index-birds"}
    assert "/root/gates/chunks.html" in artifacts["gates-birds"]


@pytest.mark.long
def test_a_backfill_is_run_from_prefects_own_command_line(worked: Server) -> None:
    """Of a corpus that the night before has filled: the plan finds its chunks, and nothing of them pending."""
    asked = ("-p", "stage=embed", "-p", "since=2026-01-01")
    worked.prefect("deployment", "run", "backfill/backfill", *asked, "--watch")
    run = worked.runs_of("backfill")[-1]
    assert run["state_type"] == "COMPLETED"
    assert run["name"] == "backfill-birds-embed-2026-01-01"
    artifacts = worked.artifacts_of(run)
    assert '"stage": "embed"' in artifacts["plan-birds"]
    assert '"skipped": 4' in artifacts["closing-birds"]
