"""The loop commits batch by batch, quarantines what failed, and finds only what is left."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from flows.quarantine import feed_back
from schemas.corpus import Corpus
from schemas.embeddings import EMBEDDINGS
from schemas.quarantine import QUARANTINE, Reason
from schemas.runs import RUNS
from tasks.job import Job, run_job
from tasks.labour import InThisProcess
from tasks.outcome import Outcome, Rejection
from tasks.run import Run, Silent, Stage
from warehouse.tables import Warehouse

SOURCE = pa.schema([("text_hash", pa.string())])


def a_run(warehouse: Warehouse, run_id: str = "r1") -> Run:
    corpus = Corpus.model_validate({"name": "test", "crawl": {"seeds": ["http://example.org/"]}})
    return Run(warehouse, corpus, run_id, date(2026, 1, 1), Silent())


def embed_all_but(bad: str) -> Callable[[pa.Table], Outcome]:
    def work(batch: pa.Table) -> Outcome:
        names = batch["text_hash"].to_pylist()
        if "poison" in names:
            raise RuntimeError("killed")
        rows = [{"text_hash": name, "encoder_id": "e", "vector": [1.0]} for name in names if name != bad]
        rejections = tuple(Rejection(name, Reason.EMPTY_TEXT, "nothing to embed") for name in names if name == bad)
        return Outcome(pa.Table.from_pylist(rows, schema=EMBEDDINGS.unstamped), rejections, 10, 5)

    return work


def a_job(stage: Stage, names: list[str], work: Callable[[pa.Table], Outcome]) -> Job:
    return Job(
        producer_id="e",
        source_key="text_hash",
        sources=stage.run.warehouse.frame(pa.table({"text_hash": names})).orderBy("text_hash").coalesce(1),
        results=stage.read(EMBEDDINGS),
        done=stage.read(EMBEDDINGS).where("encoder_id = 'e'"),
        key=("text_hash",),
        labour=InThisProcess(work, SOURCE, 2),
        commit=lambda outcome: stage.append(EMBEDDINGS, outcome.rows),
        commit_rows=2,
    )


def work_off(run: Run, names: list[str], work: Callable[[pa.Table], Outcome]) -> dict[str, Any]:
    with run.stage("embed") as stage:
        run_job(stage, a_job(stage, names, work))
    return vars(stage.ledger)


def test_rows_rejections_and_tokens_add_up_and_nothing_is_done_twice(warehouse: Warehouse) -> None:
    ledger = work_off(a_run(warehouse), ["a", "b", "c"], embed_all_but("b"))
    assert {name: ledger[name] for name in ("rows_in", "rows_out", "skipped", "quarantined")} == {
        "rows_in": 3,
        "rows_out": 2,
        "skipped": 0,
        "quarantined": 1,
    }
    assert (ledger["prompt_tokens"], ledger["output_tokens"]) == (20, 10)
    rejected = warehouse.arrow(QUARANTINE, warehouse.read(QUARANTINE)).to_pylist()
    assert [(row["source_key"], row["reason"], row["open"]) for row in rejected] == [("b", "empty_text", True)]

    again = work_off(a_run(warehouse, "r2"), ["a", "b", "c"], embed_all_but("b"))
    assert (again["rows_out"], again["skipped"], again["prompt_tokens"]) == (0, 3, 0)
    assert again["versions_written"] == {}


def test_a_job_that_dies_keeps_its_batches_and_its_ledger(warehouse: Warehouse) -> None:
    run = a_run(warehouse)
    with pytest.raises(RuntimeError, match="killed"):
        work_off(run, ["a", "b", "poison"], embed_all_but(""))
    assert sorted(warehouse.read(EMBEDDINGS).toArrow()["text_hash"].to_pylist()) == ["a", "b"]
    (row,) = warehouse.read(RUNS).toArrow().to_pylist()
    assert (row["state"], row["detail"], row["rows_out"]) == ("failed", "killed", 2)

    ledger = work_off(a_run(warehouse, "r2"), ["a", "b", "c"], embed_all_but(""))
    assert (ledger["rows_out"], ledger["skipped"]) == (1, 2)


def test_a_source_that_was_fed_back_and_fails_again_is_open_again(warehouse: Warehouse) -> None:
    work_off(a_run(warehouse), ["b"], embed_all_but("b"))
    assert feed_back(warehouse) == 1
    again = work_off(a_run(warehouse, "r2"), ["b"], embed_all_but("b"))
    assert again["quarantined"] == 1
    (row,) = warehouse.arrow(QUARANTINE, warehouse.read(QUARANTINE)).to_pylist()
    assert row["open"]
