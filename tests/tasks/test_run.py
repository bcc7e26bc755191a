"""What a run logs: a JSON object a stage, with the run's id, without the text of a page."""

import json
import logging
from datetime import date
from typing import Any, cast

import pytest

from schemas.corpus import Corpus
from tasks.run import Run, Silent


def test_a_stage_is_logged_with_its_run_and_without_any_text(caplog: pytest.LogCaptureFixture) -> None:
    corpus = Corpus.model_validate({"name": "birds", "crawl": {"seeds": ["http://birds.test/"]}})
    run = Run(cast(Any, None), corpus, "r1", date(2026, 1, 1), Silent())
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
