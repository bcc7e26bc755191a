"""The evaluation of one index version, and of the next beside it."""

import json
from pathlib import Path
from typing import Any

import pytest
from prefect.artifacts import Artifact

from flows.evaluate import evaluate
from flows.nightly import nightly
from tests.judged_birds import PASSAGES, write_collection, write_passages

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.usefixtures("prefect_api", "spark")]


def without_feedback(measure: str) -> dict[str, Any]:
    """The row of the artifact that tells of the plain query."""
    shown = Artifact.get("metrics-judged")
    assert shown is not None
    rows = json.loads(str(shown.data))
    (row,) = (row for row in rows if (row["method"], row["measure"]) == ("none", measure))
    return row


def test_metrics_stand_beside_those_of_the_version_before(tmp_path: Path) -> None:
    corpus = write_collection(tmp_path)
    nightly(corpus, "2026-01-01")
    first = evaluate(corpus)
    assert first["computed"] == len(first["configurations"])
    before = without_feedback("R@100")
    assert before["before"] is None

    write_passages(tmp_path, {key: passage for key, passage in PASSAGES.items() if key != "nightjar"})
    nightly(corpus, "2026-01-02")
    second = evaluate(corpus)
    assert second["index_id"] != first["index_id"]
    after = without_feedback("R@100")
    # The only answer of one of two queries that was there is gone: from 1 and 1/2 to 1 and 0.
    assert (after["before"], after["after"]) == (before["after"], 0.5) == (0.75, 0.5)
