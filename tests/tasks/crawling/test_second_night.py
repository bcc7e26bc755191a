"""A site that did not change costs answers without bodies, and the crawl still finds its way through it."""

from collections import Counter
from datetime import date
from http.server import BaseHTTPRequestHandler

import pyarrow as pa
import pyarrow.compute as pc

from schemas.corpus import CrawlSettings, ExtractSettings
from schemas.hashing import digest
from tasks.chunk import chunk_documents
from tasks.chunking.structure import StructureChunker
from tasks.crawling.fetch import fetch
from tasks.crawling.frontier import confirm, next_round
from tasks.crawling.order import FETCHED
from tasks.extract import extract_pages
from tests.tasks.chunking.word_tokens import WordTokens
from tests.tasks.crawling.local_site import Answer, LocalSite

HOST = "http://site.localhost"
PAGES = 500
LINKS = 25
SETTINGS = CrawlSettings.model_validate(
    {"seeds": (HOST + "/0",), "delay_seconds": 0}
    | {"max_pages_per_pattern": PAGES, "concurrent_requests": 8, "max_pages": PAGES}
)


def night(site: LocalSite, stored: pa.Table) -> pa.Table:
    """All rows of one logical date."""
    pages = FETCHED.empty_table()
    while round_ := next_round(pages, SETTINGS, stored):
        rows = pa.Table.from_batches(fetch(round_, SETTINGS, site.address), FETCHED)
        pages = pa.concat_tables([pages, confirm(rows, stored)])
    return pages.sort_by("url")


def page_with_etag(body: bytes, sent: list[int], robots_tag: str = "all") -> Answer:
    """A page that says what it would say again; every answer's size goes into `sent`, headers and all."""
    etag = f'"{digest(body)}"'

    def answer(handler: BaseHTTPRequestHandler) -> None:
        same = handler.headers["If-None-Match"] == etag
        content = b"" if same else body
        handler.send_response(304 if same else 200)
        handler.send_header("ETag", etag)
        handler.send_header("X-Robots-Tag", robots_tag)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(content)))
        sent.append(sum(map(len, handler._headers_buffer)) + len(content))  # type: ignore[attr-defined]
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def article(number: int, paragraphs: list[str]) -> bytes:
    """A page of one section that links to the next ones: all of them are two links from page 0."""
    children = range(LINKS * number + 1, min(LINKS * (number + 1) + 1, PAGES))
    links = "".join(f'<a href="/{child}">Page {child}</a> ' for child in children)
    text = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return f"<html><body><nav>{links}</nav><main><h1>Page {number}</h1>{text}</main></body></html>".encode()


def written(number: int) -> list[str]:
    """Paragraphs that stand on one page only."""
    said = (f"Paragraph {part} of page {number} says what no other paragraph says." for part in range(8))
    return [f"{sentence} {'It goes on for a while, as paragraphs do. ' * 4}" for sentence in said]


def text_hashes(pages: pa.Table) -> Counter[str]:
    """Of all passages, with a word as a token."""
    dated = pages.append_column("ds", pa.array([date(2026, 1, 1)] * len(pages)))
    keyed = dated.append_column("page_key", pages["body_hash"]).filter(pc.equal(pages["outcome"], "ok"))
    documents = extract_pages(keyed, ExtractSettings(), "nightjar")
    assert not documents.rejections
    passages = chunk_documents(documents.rows, StructureChunker(120, WordTokens()), "words")
    return Counter(passages.rows["text_hash"].to_pylist())


def test_a_second_night_costs_answers_without_bodies_and_a_third_what_changed(local_site: LocalSite) -> None:
    sent: list[int] = []
    for number in range(PAGES):
        local_site.answers[f"/{number}"] = page_with_etag(article(number, written(number)), sent)

    first, first_bytes = night(local_site, FETCHED.empty_table()), sum(sent)
    assert first["outcome"].to_pylist() == ["ok"] * PAGES
    sent.clear()
    second = night(local_site, first)
    assert second["outcome"].to_pylist() == ["not_modified"] * PAGES
    assert sum(sent) < first_bytes / 10
    for column in ("url", "depth", "body_hash", "etag", "links"):
        assert second[column] == first[column]

    changed = written(250)
    changed[3] = changed[3].replace("no other paragraph says", "was not said before")
    local_site.answers["/250"] = page_with_etag(article(250, changed), sent)
    third = night(local_site, second)
    assert Counter(third["outcome"].to_pylist()) == {"ok": 1, "not_modified": PAGES - 1}

    page = first.filter(pc.equal(first["url"], f"{HOST}/250"))
    before, after = text_hashes(page), text_hashes(third)
    assert (before - after).total() == (after - before).total() == 1 < before.total()


def test_an_unlinked_page_is_asked_for_and_says_whether_it_is_still_there(local_site: LocalSite) -> None:
    def link(*pages: str) -> bytes:
        return "".join(f'<a href="/{page}">{page}</a>' for page in pages).encode()

    bodies = {"/0": link("a", "b"), "/a": b"<p>a</p>", "/b": link("c"), "/c": b"<p>c</p>"}
    local_site.answers |= {path: page_with_etag(body, []) for path, body in bodies.items()}
    first = night(local_site, FETCHED.empty_table())
    assert first["outcome"].to_pylist() == ["ok"] * 4

    local_site.answers["/0"] = page_with_etag(link("b"), [])
    local_site.answers["/b"] = page_with_etag(bodies["/b"], [], "nofollow")
    second = night(local_site, first)
    asked = zip(second["url"].to_pylist(), second["outcome"].to_pylist(), strict=True)
    assert {url.removeprefix(HOST): outcome for url, outcome in asked} == {
        "/0": "ok",
        "/a": "not_modified",
        "/b": "not_modified",
        "/c": "not_modified",
    }
    assert second["depth"] == first["depth"]
    assert local_site.paths[-2:] in (["/a", "/c"], ["/c", "/a"])  # after what links lead to

    del local_site.answers["/a"]
    third = night(local_site, second)
    assert third["outcome"].to_pylist() == ["not_modified", "gone", "not_modified", "not_modified"]
