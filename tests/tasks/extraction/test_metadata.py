"""What a page says about itself is read as it is said, and no further than its beginning."""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.extraction.metadata import LONGEST_LICENCE, Metadata, read_date, read_metadata
from tasks.extraction.parsing import parse

URL = "http://example.org/docs/page"


def read(html: str) -> Metadata:
    return read_metadata(parse(html), URL, "nightjar")


def linked_data(value: object) -> str:
    return f'<script type="application/ld+json">{json.dumps(value)}</script>'


def test_a_page_that_says_nothing() -> None:
    assert read("<p>text") == Metadata(None, None, None, frozenset(), None)


@pytest.mark.parametrize(
    ("html", "canonical"),
    [
        ("<link rel=canonical href='../home?utm_source=x#top'>", "http://example.org/home"),
        ("<link rel='Canonical' href=HTTPS://Other.Example:443/a>", "https://other.example/a"),
        ("<base href=/manual/><link rel=canonical href=a>", "http://example.org/manual/a"),
        ("<base href=javascript:x><link rel=canonical href=a>", "http://example.org/docs/a"),
        ("<link rel=canonical href=javascript:alert(1)><link rel=canonical href=/b>", "http://example.org/b"),
        ("<link rel=canonical href='http://me:secret@example.org/'>", None),
        ("<link rel=canonical href='/" + "x" * 10_000_000 + "'>", None),
        ("<link rel=canonical href><link rel=canonical>", None),
        ("<a rel=canonical href=/a>", None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_canonical_url(html: str, canonical: str | None) -> None:
    assert read(html).canonical_url == canonical


FIRST, SECOND, THIRD, FOURTH = (date(2024, 5, day) for day in (1, 2, 3, 4))
STATEMENTS = (
    "<meta property=article:published_time content=2024-05-01T10:00:00Z>"
    "<meta property=article:modified_time content=2024-05-01>",
    linked_data({"@type": "Article", "datePublished": "2024-05-02", "dateModified": "2024-05-02T01:00"}),
    "<meta name=DC.date content=2024/05/03><meta http-equiv=Last-Modified content='Fri, 03 May 2024 10:00:00 GMT'>",
    "<time datetime=1999-01-01>once</time><time pubdate datetime=2024-05-04>today</time>"
    "<time class='x dt-updated' datetime=20240504>now</time>",
)


@pytest.mark.parametrize(("left", "day"), [(0, FIRST), (1, SECOND), (2, THIRD), (3, FOURTH), (4, None)])
def test_of_several_dates_the_first_of_the_documented_order(left: int, day: date | None) -> None:
    found = read("".join(reversed(STATEMENTS[left:])))
    assert (found.published_at, found.modified_at) == (day, day)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        (" 2024-05-06", date(2024, 5, 6)),
        ("2024-5-6 23:59", date(2024, 5, 6)),
        ("2024-05-06T23:59:59-12:00", date(2024, 5, 6)),
        ("20240506", date(2024, 5, 6)),
        ("20240506T101112Z", date(2024, 5, 6)),
        ("20240506101112", date(2024, 5, 6)),
        ("Mon, 06 May 2024 07:00:00 GMT", date(2024, 5, 6)),
        ("2024", None),
        ("2024-02-31", None),
        ("0000-00-00", None),
        ("1714978800", None),
        ("1714978800000", None),
        ("2024-05.06", None),
        ("yesterday", None),
        ("9" * 10_000_000, None),
        ("", None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_dates(text: str, day: date | None) -> None:
    assert read_date(text) == day


@settings(max_examples=50)
@given(st.text(max_size=80))
def test_no_text_breaks_a_date(text: str) -> None:
    read_date(text)


@settings(max_examples=50)
@given(st.dates())
def test_every_day_is_read_back(day: date) -> None:
    assert read_date(day.isoformat()) == day


@pytest.mark.parametrize(
    ("html", "licence"),
    [
        ("<meta name=copyright content='(c) Us'><a rel='x license' href=/free>", "http://example.org/free"),
        ("<link rel=license href=javascript:x><meta name=dc.rights content=' (c)\x01\n Us '>", "(c) Us"),
        (linked_data({"license": "https://cc.example/by"}), "https://cc.example/by"),
        (linked_data([{"license": [{"@type": "CreativeWork", "name": "CC BY"}]}]), "CC BY"),
        (linked_data({"@graph": [{"@type": "ImageObject", "license": "x"}, {"@type": "WebPage"}]}), None),
        (linked_data({"license": {"name": {"deep": 1}}, "image": {"license": "of a picture"}}), None),
        ("<meta name=copyright content='" + "c" * 8_000_000 + "'>", "c" * LONGEST_LICENCE),
    ],
    ids=lambda value: str(value)[:60],
)
def test_licence(html: str, licence: str | None) -> None:
    assert read(html).licence == licence


@pytest.mark.parametrize(
    ("html", "directives"),
    [
        ("<meta name=Robots content=noai><meta name=robots content='noindex,x'>", {"noai", "noindex"}),
        ("<meta name=NIGHTJAR content=noimageai><meta name=otherbot content=noai>", {"noimageai"}),
        (
            "<meta name=robots content><meta name content=noai><meta property=robots content=none>",
            {"noindex", "nofollow"},
        ),
        ("<meta name=robots content='" + "a " * 4_000_000 + "noai'>", set()),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value)[:60],
)
def test_directives(html: str, directives: set[str]) -> None:
    assert read(html).directives == directives


@pytest.mark.parametrize(
    "html",
    [
        linked_data({"license": "x"}) * 1_000,
        "<script type=application/ld+json>" + "[" * 100_000 + "</script>",
        "<script type=application/ld+json>" + '{"@graph":[' * 10_000 + "</script>",
        "<script type=application/ld+json>" + "9" * 100_000 + "</script>",
        "<script type=application/ld+json>null</script><script type=application/ld+json></script>",
        "<script type=application/ld+json>" + json.dumps([{"license": None}] * 100_000) + "</script>",
        linked_data({"@type": [1, None, {"a": []}], "@graph": {"a": 1}, "license": 3, "datePublished": [[], {}]}),
        "<meta name=robots content=nosnippet>" * 200_000,
        "<time pubdate datetime=x>" * 200_000,
    ],
    ids=lambda html: html[:60],
)
def test_hostile_pages_are_read_to_an_end(html: str) -> None:
    found = read(html)
    assert found.licence in (None, "x")
    assert found.published_at is None


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("@type", "@graph", "license", "datePublished", "name", "@id")), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(JSON)
def test_any_linked_data_is_read(value: object) -> None:
    found = read(linked_data(value).replace("<!--", ""))
    assert found.licence is None or 0 < len(found.licence) <= LONGEST_LICENCE
