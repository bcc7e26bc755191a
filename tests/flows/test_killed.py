"""A run killed with SIGKILL is mended by running it again: the tables end as if it had never been killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from flows.nightly import nightly
from schemas.catalog import TABLES
from tests.conftest import Night
from tests.small_site import write_corpus

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]

# What differs between any two runs, killed or not.
VOLATILE = {"run_id", "created_at", "fetched_at", "built_at", "published_at", "path", "table_versions", "last_modified"}
COMPARED = ("pages", "documents", "chunks", "features", "synthetic_queries", "contexts", "embeddings", "indexes")


def contents(root: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: _rows(root / "tables" / name, TABLES[name].key) for name in COMPARED}


def _rows(path: Path, key: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = DeltaTable(str(path)).to_pyarrow_table().to_pylist()
    kept = [{name: value for name, value in row.items() if name not in VOLATILE} for row in rows]
    return sorted(kept, key=lambda row: [str(row[part]) for part in key])


def kill_when(command: list[str], api: str, exists: Path) -> None:
    """Run a command until a file is there, then kill it and everything it started."""
    environment = {**os.environ, "PREFECT_API_URL": api}
    process = subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)
    while process.poll() is None and not exists.exists():
        time.sleep(0.02)
    assert process.poll() is None, "the run ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_run_leaves_no_trace(night: Night, prefect_api: str, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path)
    command = [str(Path(sys.executable).with_name("nightjar")), "nightly", corpus, "--ds", "2026-01-01"]
    log = tmp_path / "root" / "tables" / "embeddings" / "_delta_log"
    kill_when(command, prefect_api, log / f"{1:020}.json")
    run = nightly(corpus, "2026-01-01")
    assert run["state"] == "completed"
    assert contents(tmp_path / "root") == contents(Path(night.corpus).parent / "root")
