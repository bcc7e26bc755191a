"""Progress in Prefect: nothing of a short stage, and one artifact of a long one, brought up to date."""

import pytest
from prefect import flow
from prefect.artifacts import Artifact

from flows import progress_artifact
from flows.progress_artifact import ProgressArtifact
from tasks.run import Silent

pytestmark = pytest.mark.usefixtures("prefect_api")


@flow
def stage_of(rows: int) -> None:
    progress = ProgressArtifact(Silent(), "progress-here")
    progress.begin("embed", 4, "texts")
    for _ in range(rows):
        progress.advance(1)
    progress.end()


def test_a_short_stage_has_no_artifact_and_a_long_one_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stage_of(4)
    assert Artifact.get("progress-here") is None
    monkeypatch.setattr(progress_artifact, "SECONDS_BETWEEN_UPDATES", 0.0)
    stage_of(3)
    artifact = Artifact.get("progress-here")
    assert artifact is not None
    assert artifact.type == "progress"
    assert float(str(artifact.data)) == 75.0
    assert str(artifact.description).startswith("embed: 3 of 4 texts")
