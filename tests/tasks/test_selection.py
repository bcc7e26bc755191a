"""A backfill: thirty nights of a changing site, and a part of them computed anew."""

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from schemas.corpus import Corpus
from schemas.documents import DOCUMENTS
from schemas.errors import NightjarError
from schemas.pages import PAGES
from tasks import documents
from tasks.job import pending_sources
from tasks.planning import Why, pending_by_reason
from tasks.run import Run, Silent
from tasks.selection import EVERYTHING, Selection
from tests.thirty_nights import FIRST, thirty_nights
from warehouse.tables import Warehouse

TEN_TO_TWENTY = Selection(since=FIRST + timedelta(days=9), until=FIRST + timedelta(days=19))


def a_run(warehouse: Warehouse, selection: Selection = EVERYTHING, volatile: tuple[str, ...] = ()) -> Run:
    settings = {"name": "x", "crawl": {"seeds": ["http://x.test/"]}, "extract": {"volatile": volatile}}
    return Run(warehouse, Corpus.model_validate(settings), "r1", FIRST + timedelta(days=29), Silent(), selection)


def extract(run: Run) -> dict[str, Any]:
    with run.stage("extract") as stage:
        documents.extract(stage)
    return vars(stage.ledger)


def stored(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    rows = warehouse.arrow(DOCUMENTS, warehouse.read(DOCUMENTS)).to_pylist()
    return {row["url"]: row for row in rows}


@pytest.fixture(scope="module")
def nights() -> pa.Table:
    return PAGES.rows(list(thirty_nights()))


def test_a_range_of_dates_is_computed_anew_and_nothing_else(warehouse: Warehouse, nights: pa.Table) -> None:
    warehouse.add(PAGES, nights)
    assert extract(a_run(warehouse))["rows_out"] == 32
    before = stored(warehouse)

    new = ("sings",)  # settings are part of what the extractor is
    ledger = extract(a_run(warehouse, TEN_TO_TWENTY, new))
    assert ledger["rows_out"] == 11 + 2  # a page a day, the one that changed, the one that came back
    after = stored(warehouse)
    for url, row in after.items():
        in_range = TEN_TO_TWENTY.since <= row["ds"] <= TEN_TO_TWENTY.until  # type: ignore[operator]
        assert ("sings" in row["text"]) is not in_range
        assert in_range or row == before[url]
    assert {url for url, row in after.items() if "sings" not in row["text"]} == {
        *(f"http://x.test/{day}" for day in range(9, 20)),
        "http://x.test/changed",
        "http://x.test/back",
    }
    assert "Text True" in after["http://x.test/changed"]["text"]  # the newest body, not that of an old date
    assert extract(a_run(warehouse, TEN_TO_TWENTY, new))["rows_out"] == 0

    # What a range made is what a night from nothing makes.
    part = {url: row["text"] for url, row in after.items() if "sings" not in row["text"]}
    extract(a_run(warehouse, volatile=new))
    assert {url: stored(warehouse)[url]["text"] for url in part} == part


def test_a_range_is_worked_off_oldest_first(warehouse: Warehouse, nights: pa.Table) -> None:
    warehouse.add(PAGES, nights)
    with a_run(warehouse, TEN_TO_TWENTY).stage("extract") as stage:
        job = documents.extraction(stage)
        days = [row["ds"] for row in job.arrange(pending_sources(stage, job), 13).select("ds").collect()]
    assert len(days) == 13
    assert days == sorted(days)


def test_a_plan_says_why_pages_are_pending(warehouse: Warehouse, nights: pa.Table) -> None:
    days = nights["ds"].to_pylist()
    known = nights.filter(pa.array([day < FIRST + timedelta(days=14) for day in days]))
    warehouse.add(PAGES, known)
    with a_run(warehouse).stage("extract") as stage:
        assert pending_by_reason(stage, documents.extraction(stage)) == {Why.NEW_SOURCE: 15}
    extract(a_run(warehouse))
    with a_run(warehouse, volatile=("sings",)).stage("extract") as stage:
        assert pending_by_reason(stage, documents.extraction(stage)) == {Why.CHANGED_RECIPE: 15}
    warehouse.append(PAGES, nights)
    with a_run(warehouse).stage("extract") as stage:
        reasons = pending_by_reason(stage, documents.extraction(stage))
    # Of thirty days sixteen are new; one page has changed; one came back as it was, and is not live.
    assert reasons == {Why.NEW_SOURCE: 16 + 1, Why.CHANGED_SOURCE: 1}


@pytest.mark.parametrize("condition", ["url LIKE", "no_such_column = 1"])
def test_a_condition_that_is_none_is_one_clear_line(warehouse: Warehouse, condition: str) -> None:
    with pytest.raises(NightjarError, match=r"--where: not a condition on the sources.*url, outcome") as raised:
        documents.extraction(a_run(warehouse, Selection(where=condition)).stage("extract").__enter__())
    assert "\n" not in str(raised.value)


def test_a_backfill_brings_no_page_back_that_is_gone_and_retires_none(warehouse: Warehouse) -> None:
    """On day 12 the third night in a row has not found a page that came back on day 16."""
    url = "http://x.test/back"
    pages = [row for row in thirty_nights() if row["url"] == url]
    warehouse.add(PAGES, PAGES.rows(pages[:10]))
    extract(a_run(warehouse))
    warehouse.append(PAGES, PAGES.rows(pages[10:13]))
    days = Selection(until=FIRST + timedelta(days=9))
    assert extract(a_run(warehouse, days, ("sings",)))["rows_in"] == 0  # what is gone is not there to be worked on
    assert stored(warehouse)[url]["live"]
    extract(a_run(warehouse))
    assert not stored(warehouse)[url]["live"]

    warehouse.append(PAGES, PAGES.rows(pages))
    assert extract(a_run(warehouse, days))["rows_in"] == 0  # its body was stored anew on day 16
    assert extract(a_run(warehouse, Selection(since=FIRST + timedelta(days=16))))["rows_out"] == 1
    assert (stored(warehouse)[url]["live"], stored(warehouse)[url]["ds"]) == (True, FIRST + timedelta(days=16))


def test_a_condition_chooses_sources(warehouse: Warehouse, nights: pa.Table) -> None:
    warehouse.add(PAGES, nights)
    assert extract(a_run(warehouse, Selection(where="url LIKE '%/1_'")))["rows_out"] == 10
