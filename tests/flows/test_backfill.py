"""Backfills of a corpus of thirty nights: killed, limited, of failures only, and beside a running night."""

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.artifacts import Artifact
from pyspark.sql import SparkSession

from bench.kills import contents, differences, kill_when, nightly_command, table_differences
from flows.backfill import backfill
from flows.opening import open_run, open_warehouse
from flows.planning import plan
from schemas.corpus import load_corpus
from schemas.pages import PAGES
from schemas.quarantine import QUARANTINE, Reason
from tasks.documents import extractor_of
from tasks.job import quarantine_rows
from tasks.outcome import Rejection
from tasks.parts import Part
from tasks.planning import What, Why
from tests.conftest import Night
from tests.small_site import write_corpus
from tests.thirty_nights import FIRST, fetched, thirty_nights

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]

TEXTS = 32
CORPUS = """
name = "thirty"
warehouse = "{root}"

[crawl]
seeds = ["http://x.test/"]

[deduplicate]
enabled = false

[language_model]
engine = "fake"

[encoder]
engine = "fake"

[[recipes]]
name = "keywords"

[[recipes]]
name = "summary"
"""


def corpus_in(folder: Path) -> str:
    path = folder / "thirty.toml"
    path.write_text(CORPUS.format(root=folder / "root"))
    return str(path)


def copy_of(corpus: str, folder: Path) -> str:
    shutil.copytree(Path(corpus).parent / "root", folder / "root")
    return corpus_in(folder)


def figures(run: dict[str, Any], stage: str) -> tuple[int, int]:
    """Rows written and rows skipped of one stage."""
    (found,) = (each for each in run["stages"] if each["stage"] == stage)
    return found["rows_out"], found["skipped"]


def pending(corpus: str, what: What) -> dict[str, dict[Why, int]]:
    return {stage.stage: stage.pending for stage in plan(corpus, what).stages}


def has_rows(root: Path, table: str) -> bool:
    """Whether something was committed after the table was made."""
    return len(list((root / "tables" / table / "_delta_log").glob("*.json"))) > 1


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession, prefect_api: str) -> str:  # noqa: ARG001
    """Thirty nights of pages, extracted and cut; nothing is described."""
    corpus = corpus_in(tmp_path_factory.mktemp("cut"))
    open_warehouse(load_corpus(corpus)).add(PAGES, PAGES.rows(list(thirty_nights())))
    assert figures(backfill(corpus, Part.EXTRACT), "extract") == (TEXTS, 0)
    assert figures(backfill(corpus, Part.CHUNK), "chunk") == (TEXTS, 0)
    return corpus


@pytest.fixture(scope="module")
def keywords(cut: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What one whole backfill writes."""
    corpus = copy_of(cut, tmp_path_factory.mktemp("whole"))
    assert figures(backfill(corpus, Part.FEATURES, recipe="keywords"), "features:keywords") == (TEXTS, 0)
    return features(corpus)


def features(corpus: str) -> list[dict[str, Any]]:
    return contents(Path(corpus).parent / "root")["features"]


def test_a_backfill_killed_half_way_goes_on_where_it_was(
    cut: str, keywords: list[dict[str, Any]], tmp_path: Path
) -> None:
    corpus = copy_of(cut, tmp_path)
    flow = "from tasks import committing; committing.WRITTEN_PER_COMMIT = 4; from flows.cli import main; main()"
    command = [sys.executable, "-c", flow, "backfill", corpus, "--stage", "features", "--recipe", "keywords"]
    killed = kill_when(command, lambda: has_rows(tmp_path / "root", "features"))
    assert killed is not None, "the backfill ended before it could be killed"
    there = len(features(corpus))
    assert 0 < there < TEXTS
    assert figures(backfill(corpus, Part.FEATURES, recipe="keywords"), "features:keywords") == (TEXTS - there, there)
    assert table_differences("features", keywords, features(corpus)) == []


def test_a_limit_of_tokens_stops_and_the_next_backfill_does_the_rest(
    cut: str, keywords: list[dict[str, Any]], tmp_path: Path
) -> None:
    corpus = copy_of(cut, tmp_path)
    limited = backfill(corpus, Part.FEATURES, limit_tokens=1)
    done, _ = figures(limited, "features:keywords")
    assert 0 < done < TEXTS
    assert figures(limited, "features:summary")[0] <= done + 1  # the limit is of the run, not of a recipe
    assert figures(backfill(corpus, Part.FEATURES, recipe="keywords"), "features:keywords") == (TEXTS - done, done)
    of_keywords = [row for row in features(corpus) if row["feature"] == "keywords"]
    assert table_differences("features", keywords, of_keywords) == []


def test_of_failures_only_those_are_tried_again(cut: str, tmp_path: Path) -> None:
    """One page that failed for want of time, one that fails whenever it is tried, one that nobody has tried yet."""
    corpus = copy_of(cut, tmp_path)
    loaded = load_corpus(corpus)
    slow, fresh = (fetched(f"http://x.test/{name}", 29, "ok", f"The {name} text") for name in ("slow", "fresh"))
    broken = fetched("http://x.test/broken", 29, "ok", "") | {"body": b"%PDF-1.7", "body_hash": "broken"}
    with open_run(corpus, FIRST + timedelta(days=29)) as run, run.stage("extract") as stage:
        stage.append(PAGES, PAGES.rows([slow, fresh, broken]))
        failed = [Rejection(row["body_hash"], Reason.TIME_LIMIT, "took longer than 20 s") for row in (slow, broken)]
        stage.merge(QUARANTINE, quarantine_rows("extract", extractor_of(loaded), failed))

    failures = What(part=Part.EXTRACT, failed_only=True)
    assert pending(corpus, failures) == {"extract": {Why.FAILED_BEFORE: 2}}
    assert figures(backfill(corpus, Part.EXTRACT, failed_only=True), "extract")[0] == 1
    assert pending(corpus, What(part=Part.EXTRACT)) == {"extract": {Why.NEW_SOURCE: 1}}
    assert pending(corpus, failures) == {"extract": {Why.FAILED_BEFORE: 1}}
    root = Path(corpus).parent / "root"
    live = {row["url"] for row in contents(root)["documents"] if row["live"]}
    assert slow["url"] in live
    assert not {fresh["url"], broken["url"]} & live
    quarantined = {row["source_key"]: row["reason"] for row in contents(root)["quarantine"] if row["open"]}
    assert quarantined == {"broken": "not_html"}


def test_a_plan_names_the_dates_that_are_holes(cut: str) -> None:
    early = What(part=Part.EXTRACT, since=FIRST - timedelta(days=2), until=FIRST + timedelta(days=31))
    outside = {timedelta(days=number) for number in (-2, -1, 30, 31)}
    assert set(plan(cut, early).holes) == {FIRST + days for days in outside}


def test_a_backfill_leaves_its_plan_in_prefect(cut: str, tmp_path: Path) -> None:
    backfill(copy_of(cut, tmp_path), Part.EMBED)
    shown = Artifact.get("plan-thirty")
    assert shown is not None
    (stage,) = json.loads(str(shown.data))
    assert (stage["stage"], stage["new source"]) == ("embed", TEXTS)


@pytest.mark.long
def test_a_backfill_beside_a_running_night_leaves_both_correct(night: Night, prefect_api: str, tmp_path: Path) -> None:
    corpus, root = write_corpus(tmp_path), tmp_path / "root"
    environment = {**os.environ, "PREFECT_API_URL": prefect_api}
    log = (tmp_path / "night.log").open("w")
    with log, subprocess.Popen(nightly_command(corpus), env=environment, stdout=log, stderr=log) as running:
        while running.poll() is None and not has_rows(root, "documents"):
            time.sleep(0.01)
        assert running.poll() is None, "the night ended before the backfill began"
        for part in (Part.CHUNK, Part.QUERIES, Part.EMBED):
            backfill(corpus, part)
    assert running.returncode == 0, Path(log.name).read_text()
    assert differences(root, contents(Path(night.corpus).parent / "root")) == []
