import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.corpus import CrawlSettings
from schemas.errors import CorpusError
from tasks.crawling.urls import MAX_LENGTH, Scope, canonical_url, url_pattern

HOSTS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,10}[A-Za-z0-9])?(\.[A-Za-z]{2,5}){1,2}\.?", fullmatch=True)
TAILS = st.text(st.sampled_from("aZ09./%;?&=#+~-_ :@!é漢\\\"'<>[]{}|^`\t2eEsidSID"), max_size=40)
URLS = st.builds("{}://{}/{}".format, st.sampled_from(["http", "https", "HTTP"]), HOSTS, TAILS)


@given(URLS | st.text())
def test_is_idempotent(url: str) -> None:
    once = canonical_url(url)
    assert once is None or canonical_url(once) == once


@given(URLS)
def test_is_ascii_short_and_without_fragment(url: str) -> None:
    once = canonical_url(url)
    if once is not None:
        assert once.isascii() and len(once) <= MAX_LENGTH and "#" not in once and " " not in once
        assert once.startswith(("http://", "https://"))


@given(st.lists(st.from_regex(r"[b-rt-z]=[a-z0-9]{0,3}", fullmatch=True), min_size=1, max_size=10))
def test_keeps_the_order_of_the_query(parameters: list[str]) -> None:
    url = "http://example.org/page?" + "&".join(parameters)
    assert canonical_url(url) == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://Example.ORG:80", "http://example.org/"),
        ("https://example.org:443/a", "https://example.org/a"),
        ("http://example.org:8080/a#part", "http://example.org:8080/a"),
        ("http://example.org./a/../b/./c", "http://example.org/b/c"),
        ("http://example.org/a/..", "http://example.org/"),
        ("http://example.org/%7euser/%c3%a9?q=%2f", "http://example.org/~user/%C3%A9?q=%2F"),
        ("http://example.org/é", "http://example.org/%C3%A9"),
        ("http://example.org/%2E%2e/x", "http://example.org/x"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://example.org/a?utm_source=x&b=1&&fbclid=2&a=0", "http://example.org/a?b=1&a=0"),
        ("http://example.org/a;jsessionid=12AB?PHPSESSID=3&sid=4", "http://example.org/a"),
        ("http://[2001:DB8::1]:80/", "http://[2001:db8::1]/"),
        ("http://example.org/100%", "http://example.org/100%25"),
    ],
)
def test_one_spelling(url: str, expected: str) -> None:
    assert canonical_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mailto:a@example.org",
        "javascript:alert(1)",
        "ftp://example.org/",
        "http://",
        "http://user:secret@example.org/",
        "http://example.org:99999/",
        "http://[::1",
        "http://exa mple.org/",
        "http://example.org/" + "a" * MAX_LENGTH,
        "http://example.org/" + "a/b/" * 20,
        "http://example.org/?" + "&".join(f"p{number}=1" for number in range(20)),
    ],
)
def test_what_is_no_page_address(url: str) -> None:
    assert canonical_url(url) is None


def test_relative_links_resolve_against_the_page() -> None:
    assert canonical_url("../b?x=1#y", "http://example.org/a/c") == "http://example.org/b?x=1"
    assert canonical_url("//other.example/", "https://example.org/") == "https://other.example/"


def test_pattern_forgets_numbers_and_query_values() -> None:
    assert url_pattern("http://e.org/2026/11/day?n=3&m=x") == url_pattern("http://e.org/1999/1/day?m=&n=12")
    assert url_pattern("http://e.org/a") != url_pattern("http://e.org/b")


def scope(**settings: object) -> Scope:
    return Scope(CrawlSettings.model_validate({"seeds": ("http://example.org/docs/",), **settings}))


def test_scope_is_the_hosts_of_the_seeds_and_what_is_allowed() -> None:
    assert scope().admits("http://example.org/a")
    assert not scope().admits("http://example.org:81/a")
    assert not scope().admits("http://evil.example/a")
    assert scope(allow_hosts=("www.example.org",)).admits("http://www.example.org/a")
    assert not scope(allow=("/docs/",)).admits("http://example.org/a")
    assert not scope(deny=("print",)).admits("http://example.org/docs/print")


def test_a_seed_is_admitted_whatever_the_patterns_say() -> None:
    assert scope(allow=("/nowhere/",)).admits("http://example.org/docs/")


def test_a_path_that_repeats_itself_is_a_trap() -> None:
    assert not scope().admits("http://example.org/x/a/b/a/b/a/b/a/b/")
    assert scope().admits("http://example.org/x/a/b/a/b/")


def test_a_seed_that_is_no_url_is_named() -> None:
    with pytest.raises(CorpusError, match=r"'docs\.example\.org' is not an http"):
        scope(seeds=("docs.example.org",))
