"""A run killed with SIGKILL is mended by running it again: the tables end as if it had never been killed."""

from pathlib import Path

import pytest

from bench.kills import contents, differences, kill_when, nightly_command, open_commits
from flows.nightly import nightly
from tests.conftest import Night
from tests.small_site import write_corpus

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]


def test_a_run_killed_inside_a_commit_leaves_no_trace(night: Night, tmp_path: Path) -> None:
    corpus, root = write_corpus(tmp_path), tmp_path / "root"
    killed = kill_when(nightly_command(corpus), lambda: "documents" in open_commits(root))
    assert killed is not None, "the run ended before it could be killed"
    assert nightly(corpus, "2026-01-01")["state"] == "completed"
    assert differences(root, contents(Path(night.corpus).parent / "root")) == []
