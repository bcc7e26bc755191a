"""Which answer about a page is believed."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from schemas.pages import PAGES
from tasks.documents import latest_pages

COLUMNS = pa.schema(
    [PAGES.schema.field(name) for name in ("url", "ds", "outcome", "body_hash", "robots_tag", "source")]
)

# By URL the outcomes of nights 1, 2, 3 and on (None: it was not asked), and the file it came from.
HISTORIES: dict[str, tuple[Sequence[str | None], str | None]] = {
    "there": (["gone", "gone", "ok"], None),
    "once": (["ok", "gone"], None),
    "twice": (["ok", "gone", "gone"], None),
    "twice in time": (["ok", "gone", "failed", None, "gone", "refused"], None),
    "thrice": (["ok", "gone", "gone", "gone"], None),
    "not in a row": (["ok", "gone", "ok", "gone"], None),
    "never there": (["gone"], None),
    "moved": (["ok", "redirected"], None),
    "moved and gone": (["ok", "redirected", "gone"], None),
    "confirmed": (["ok", "not_modified", "failed"], None),
    "a file": (["ok", "gone"], "/pages"),
    "silent": (["failed", "refused"], None),
}


def rows() -> list[dict[str, Any]]:
    return [
        {
            "url": url,
            "ds": date(2026, 1, night),
            "outcome": outcome,
            "body_hash": f"hash{night}" if outcome == "ok" else None,
            "robots_tag": "noai" if outcome == "ok" else None,
            "source": source,
        }
        for url, (outcomes, source) in HISTORIES.items()
        for night, outcome in enumerate(outcomes, start=1)
        if outcome
    ]


@pytest.mark.parametrize(
    ("gone_after", "gone"),
    [
        (1, {"once", "twice", "twice in time", "thrice", "not in a row", "never there", "moved and gone", "a file"}),
        (2, {"twice", "twice in time", "thrice", "never there", "a file"}),
        (3, {"thrice", "never there", "a file"}),
    ],
)
def test_a_page_is_gone_when_enough_nights_in_a_row_say_so(
    spark: SparkSession, gone_after: int, gone: set[str]
) -> None:
    pages = spark.createDataFrame(pa.Table.from_pylist(rows(), schema=COLUMNS))
    found = {row["url"]: row for row in latest_pages(pages, gone_after).toArrow().to_pylist()}
    assert found.keys() == HISTORIES.keys() - {"silent"}
    assert {url for url, row in found.items() if row["outcome"] == "gone"} == gone
    assert found["moved"]["outcome"] == "redirected"
    assert found["there"] == {
        "url": "there",
        "outcome": "ok",
        "body_hash": "hash3",
        "ds": date(2026, 1, 3),
        "robots_tag": "noai",
    }
    if gone_after > 1:
        assert (found["once"]["outcome"], found["once"]["body_hash"]) == ("ok", "hash1")
