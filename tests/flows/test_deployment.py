"""Prefect takes the deployments as they are committed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def prefect(api: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PREFECT_API_URL": api, "COLUMNS": "200"}
    command = [str(Path(sys.executable).with_name("prefect")), *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_prefect_deploys_everything(prefect_api: str) -> None:
    assert prefect(prefect_api, "work-pool", "create", "nightjar", "--type", "process").returncode == 0
    deployed = prefect(prefect_api, "--no-prompt", "deploy", "--all")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    listed = prefect(prefect_api, "deployment", "ls")
    for name in ("nightly", "backfill", "maintain"):
        assert f"{name}/{name}" in listed.stdout
