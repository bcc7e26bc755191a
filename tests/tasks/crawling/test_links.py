import pytest

from schemas.corpus import CrawlSettings
from tasks.crawling.links import MAX_LINKS, page_links
from tasks.crawling.urls import Scope

PAGE = "http://example.org/docs/page"
SCOPE = Scope(CrawlSettings.model_validate({"seeds": (PAGE,), "deny": (r"\.zip$",)}))


def links(html: str, obey_nofollow: bool = True) -> list[str]:
    found = page_links(html, PAGE, SCOPE, obey_nofollow, "nightjar")
    return [link.removeprefix("http://example.org") for link in found]


def test_each_link_once_in_the_order_of_the_page() -> None:
    html = '<a href="b">b</a><map><area href="/a"></map><a href="b#top">b</a><a name="no-link">n</a>'
    assert links(html) == ["/docs/b", "/a"]


def test_what_the_corpus_does_not_admit_is_left_out() -> None:
    assert links('<a href="x.zip">z</a><a href="http://other.example/">o</a><a href="mailto:a@b.c">m</a>') == []


def test_relative_links_stand_on_the_base_element() -> None:
    assert links('<base href="/manual/"><a href="a">a</a>') == ["/manual/a"]


@pytest.mark.parametrize(
    "html",
    [
        '<a rel="noopener NoFollow" href="a">a</a>',
        '<meta name="Robots" content="noindex, nofollow"><a href="a">a</a>',
        '<meta name="nightjar" content="none"><a href="a">a</a>',
    ],
)
def test_nofollow_is_obeyed_unless_told_otherwise(html: str) -> None:
    assert links(html) == []
    assert links(html, obey_nofollow=False) == ["/docs/a"]


def test_a_page_of_endless_links_is_cut() -> None:
    assert len(links("".join(f'<a href="/{number}">' for number in range(MAX_LINKS + 10)))) == MAX_LINKS


@pytest.mark.parametrize("html", ["", "   ", "<!-- -->", "\0", "\ud800", '<?xml encoding="x"?><p>'])
def test_a_page_of_nothing_has_no_links(html: str) -> None:
    assert links(html) == []


def test_deep_nesting_is_survived() -> None:
    assert links("<div>" * 100_000 + '<a href="a">') in ([], ["/docs/a"])


def test_what_is_said_to_another_crawler_is_not_said_to_us() -> None:
    assert links('<meta name="otherbot" content="nofollow"><a href="a">a</a>') == ["/docs/a"]
