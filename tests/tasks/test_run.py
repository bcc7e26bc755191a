"""What a run reads beside another, and what it logs: a JSON object a stage, with its id, without a page's text."""

import json
import logging
from datetime import date
from typing import Any, cast

import pytest

from schemas.corpus import Corpus
from schemas.questions import QUESTIONS
from tasks.run import Run, Silent
from warehouse.tables import Warehouse

CORPUS = Corpus.model_validate({"name": "birds", "crawl": {"seeds": ["http://birds.test/"]}})


@pytest.mark.parametrize("how", ["append", "merge"])
def test_rows_that_another_run_was_faster_to_write_are_read(warehouse: Warehouse, how: str) -> None:
    rows = QUESTIONS.rows([dict(QUESTIONS.example)]).drop_columns(["run_id"])
    late, early = (Run(warehouse, CORPUS, run_id, date(2026, 1, 1), Silent()) for run_id in ("late", "early"))
    with late.stage("questions") as stage, early.stage("questions") as other:
        assert stage.read(QUESTIONS).count() == 0
        getattr(other, how)(QUESTIONS, rows)
        assert stage.read(QUESTIONS).count() == 0  # as the run has read it before
        getattr(stage, how)(QUESTIONS, rows)
        assert stage.read(QUESTIONS).count() == 1
    assert stage.ledger.versions_written == {}


def test_a_stage_is_logged_with_its_run_and_without_any_text(caplog: pytest.LogCaptureFixture) -> None:
    run = Run(cast(Any, None), CORPUS, "r1", date(2026, 1, 1), Silent())
    with caplog.at_level(logging.INFO, "nightjar"):
        with run.stage("crawl") as stage:
            stage.ledger.rows_in = 3
        with pytest.raises(ValueError, match="secret"), run.stage("extract"):
            raise ValueError("secret text of a page")
    crawl, extract = (json.loads(record.getMessage()) for record in caplog.records)
    assert (crawl["run_id"], crawl["stage"], crawl["state"], crawl["rows_in"]) == ("r1", "crawl", "completed", 3)
    assert (extract["state"], extract["error"]) == ("failed", "ValueError")
    assert not any("secret" in record.getMessage() for record in caplog.records)
    assert run.ledgers[1].detail == "secret text of a page"  # in the warehouse it stands, beside the page itself
