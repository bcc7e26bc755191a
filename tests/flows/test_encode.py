"""Nights that encode more of a passage than its text: what was written about it, as soon as that is there."""

from pathlib import Path
from typing import Any

import pytest

from flows.asking import answer
from flows.backfill import backfill
from flows.nightly import nightly
from flows.opening import open_warehouse
from flows.planning import plan
from schemas.chunks import CHUNKS
from schemas.corpus import load_corpus
from schemas.errors import CorpusError
from schemas.features import FEATURES
from schemas.synthetic_queries import SYNTHETIC_QUERIES
from tasks.parts import Part
from tasks.planning import What, Why
from tests.conftest import Night
from tests.small_site import copy_night
from warehouse.pointer import live_pointer
from warehouse.tables import Warehouse

pytestmark = pytest.mark.usefixtures("prefect_api")
EMBED = What(part=Part.EMBED)


def with_encode(night: Night, folder: Path, encode: str) -> str:
    """A night's corpus that says what is encoded from now on."""
    path = Path(copy_night(night.corpus, folder))
    path.write_text(f"{path.read_text()}\n[encode]\n{encode}\n")
    return str(path)


def written(run: dict[str, Any]) -> dict[str, int]:
    return {stage["stage"]: stage["rows_out"] for stage in run["stages"]}


def pending(corpus: str) -> dict[str, dict[Why, int]]:
    return {stage.stage: stage.pending for stage in plan(corpus, EMBED).stages}


def test_texts_are_encoded_again_when_what_was_written_about_them_changes(night: Night, tmp_path: Path) -> None:
    corpus = with_encode(night, tmp_path, 'features = ["keywords"]\nqueries = "query"')
    loaded = load_corpus(corpus)
    warehouse, before = open_warehouse(loaded), live_pointer(loaded.warehouse).index_id
    assert pending(corpus) == {"embed": {Why.CHANGED_RECIPE: 4}, "sparse": {Why.CHANGED_RECIPE: 4}}
    first = written(nightly(corpus, "2026-01-02"))
    assert (first["embed"], first["sparse"]) == (4, 4)
    after = live_pointer(loaded.warehouse).index_id
    assert after != before
    assert {hit["index_id"] for hit in answer(loaded, "barn owl", k=1, mode="hybrid")} == {after}

    again = written(nightly(corpus, "2026-01-03"))
    assert (again["embed"], again["sparse"], again["index"]) == (0, 0, 0)

    # One text loses its query, and of another one the feature says something else.
    queries = warehouse.arrow(SYNTHETIC_QUERIES, warehouse.read(SYNTHETIC_QUERIES).where("kept")).to_pylist()
    features = warehouse.arrow(FEATURES, warehouse.read(FEATURES)).to_pylist()
    features = [each for each in features if each["text_hash"] != queries[0]["text_hash"]]
    warehouse.merge(SYNTHETIC_QUERIES, SYNTHETIC_QUERIES.rows([queries[0] | {"kept": False, "round_trip_rank": 2}]))
    warehouse.merge(FEATURES, FEATURES.rows([features[0] | {"text": "xylophone"}]))
    assert pending(corpus) == {"embed": {Why.CHANGED_SOURCE: 2}, "sparse": {Why.CHANGED_SOURCE: 2}}
    third = written(nightly(corpus, "2026-01-04"))
    assert (third["embed"], third["sparse"], third["index"] > 0) == (2, 2, True)
    assert answer(loaded, "xylophone", k=1, mode="sparse")
    assert live_pointer(loaded.warehouse).index_id not in (before, after)


def test_what_is_late_is_encoded_beside_the_texts_and_searched(night: Night, tmp_path: Path) -> None:
    corpus = with_encode(night, tmp_path, 'late = ["keywords", "query"]')
    loaded = load_corpus(corpus)
    warehouse, before = open_warehouse(loaded), live_pointer(loaded.warehouse).index_id
    features = warehouse.arrow(FEATURES, warehouse.read(FEATURES)).to_pylist()
    kept = warehouse.arrow(SYNTHETIC_QUERIES, warehouse.read(SYNTHETIC_QUERIES).where("kept")).to_pylist()
    late = {row["text"] for row in features} | {row["query"] for row in kept}
    planned = pending(corpus)
    assert sum(planned["embed"].values()) == len(late)
    assert planned["sparse"] == {}
    first = written(nightly(corpus, "2026-01-02"))
    assert (first["embed"], first["sparse"]) == (len(late), 0)
    assert live_pointer(loaded.warehouse).index_id != before
    best = answer(loaded, kept[0]["query"], k=1, mode="dense")[0]
    assert (best["score"], best["text"]) == (pytest.approx(1), text_of(warehouse, kept[0]["text_hash"]))

    again = written(nightly(corpus, "2026-01-03"))
    assert (again["embed"], again["index"]) == (0, 0)


def test_a_plan_tells_what_features_will_have_encoded_beside_texts(night: Night, tmp_path: Path) -> None:
    corpus = with_encode(night, tmp_path, 'late = ["facts"]\n[[recipes]]\nname = "facts"\nlimit = 3')
    planned = {stage.stage: stage for stage in plan(corpus, What()).stages}
    assert (planned["features:facts"].rows, planned["embed"].more, planned["sparse"].more) == (3, 3, 0)


def text_of(warehouse: Warehouse, text_hash: str) -> str:
    stored = warehouse.read(CHUNKS).where(f"text_hash = '{text_hash}'").select("text").limit(1)
    return str(warehouse.arrow(CHUNKS, stored)["text"][0])


def test_a_plan_tells_which_texts_features_will_have_encoded_again(night: Night, tmp_path: Path) -> None:
    encode = 'features = ["facts", "summary"]\n[[recipes]]\nname = "facts"\nlimit = 1\n[[recipes]]\nname = "summary"'
    corpus = with_encode(night, tmp_path, encode)
    backfill(corpus, Part.EMBED)
    planned = {stage.stage: stage for stage in plan(corpus, What()).stages}
    assert (planned["features:facts"].rows, planned["features:summary"].rows) == (1, 4)
    # Each of the four texts once, whatever is written about it.
    assert (planned["embed"].pending, planned["embed"].more, planned["sparse"].more) == ({}, 4, 4)

    backfill(corpus, Part.FEATURES, recipe="facts")
    planned = {stage.stage: stage for stage in plan(corpus, What()).stages}
    assert (planned["embed"].pending, planned["embed"].more) == ({Why.CHANGED_SOURCE: 1}, 3)


def test_a_recipe_of_another_table_ends_a_run_before_it_begins(night: Night, tmp_path: Path) -> None:
    corpus = with_encode(night, tmp_path, 'queries = "keywords"')
    with pytest.raises(CorpusError, match=r"birds: encode\.queries names 'keywords', which writes into table features"):
        plan(corpus, EMBED)
