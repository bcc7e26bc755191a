"""A run killed with SIGKILL is mended by running it again: the tables end as if it had never been killed."""

from pathlib import Path

import pytest

from bench.kills import contents, kill_when, nightly_command
from flows.nightly import nightly
from tests.conftest import Night
from tests.small_site import write_corpus

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]


def test_a_killed_run_leaves_no_trace(night: Night, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path)
    first_vectors = tmp_path / "root" / "tables" / "embeddings" / "_delta_log" / f"{1:020}.json"
    assert kill_when(nightly_command(corpus), first_vectors.exists), "the run ended before it could be killed"
    run = nightly(corpus, "2026-01-01")
    assert run["state"] == "completed"
    assert contents(tmp_path / "root") == contents(Path(night.corpus).parent / "root")
