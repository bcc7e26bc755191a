"""A night on Sail, without Java, makes the tables that a night on Spark makes, in a folder or in object storage."""

import os
import subprocess
from pathlib import Path

import pytest

from bench.kills import contents, differences, nightly_command
from tests.conftest import Night
from tests.small_site import write_corpus

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("place", ["folder", "object storage"])
def test_a_night_on_sail_is_a_night_on_spark(
    night: Night, prefect_api: str, bucket: str, tmp_path: Path, place: str
) -> None:
    corpus, root = write_corpus(tmp_path, spark="sail"), str(tmp_path / "root")
    if place == "object storage":
        Path(corpus).write_text(Path(corpus).read_text().replace(root, bucket))
        root = bucket
    # A Java that does not start: whoever needs one fails.
    cache = {"JAVA_HOME": str(tmp_path / "no-java"), "NIGHTJAR_CACHE": str(tmp_path / "cache")}
    environment = {**os.environ, "PREFECT_API_URL": prefect_api, **cache}

    subprocess.run(nightly_command(corpus), env=environment, check=True, capture_output=True)

    assert differences(root, contents(Path(night.corpus).parent / "root")) == []
    assert (tmp_path / "root").exists() == (place == "folder")
