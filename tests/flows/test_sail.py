"""A night on Sail, without Java, makes the tables that a night on Spark makes."""

import os
import subprocess
from pathlib import Path

import pytest

from bench.kills import contents, differences, nightly_command
from tests.conftest import Night
from tests.small_site import write_corpus

pytestmark = pytest.mark.slow


def test_a_night_on_sail_is_a_night_on_spark(night: Night, prefect_api: str, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path, spark="sail")
    # A Java that does not start: whoever needs one fails.
    environment = {**os.environ, "PREFECT_API_URL": prefect_api, "JAVA_HOME": str(tmp_path / "no-java")}
    subprocess.run(nightly_command(corpus), env=environment, check=True, capture_output=True)
    assert differences(tmp_path / "root", contents(Path(night.corpus).parent / "root")) == []
