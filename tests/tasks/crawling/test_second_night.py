"""A site that did not change costs answers without bodies, and the crawl still finds its way through it."""

from http.server import BaseHTTPRequestHandler

import pyarrow as pa

from schemas.corpus import CrawlSettings
from tasks.crawling.fetch import fetch
from tasks.crawling.frontier import confirm, next_round
from tasks.crawling.order import FETCHED
from tests.tasks.crawling.local_site import Answer, LocalSite

HOST = "http://site.localhost"
SETTINGS = CrawlSettings.model_validate({"seeds": (HOST + "/",), "delay_seconds": 0})


def night(site: LocalSite, stored: pa.Table) -> pa.Table:
    """All rows of one logical date."""
    pages = FETCHED.empty_table()
    while round_ := next_round(pages, SETTINGS, stored):
        rows = pa.Table.from_batches(fetch(round_, SETTINGS, site.address), FETCHED)
        pages = pa.concat_tables([pages, confirm(rows, stored)])
    return pages.sort_by("url")


def page_with_etag(body: bytes, sent: list[int]) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        same = handler.headers["If-None-Match"] == '"v1"'
        content = b"" if same else body
        handler.send_response(304 if same else 200)
        handler.send_header("ETag", '"v1"')
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        sent.append(len(content))

    return answer


def test_an_unchanged_site_is_confirmed_without_bodies(local_site: LocalSite) -> None:
    sent: list[int] = []
    for path, links in {"/": ("/a", "/b"), "/a": ("/c",), "/b": (), "/c": ()}.items():
        body = "".join(f'<a href="{link}">link</a>' for link in links) + "text " * 500
        local_site.answers[path] = page_with_etag(body.encode(), sent)

    first = night(local_site, FETCHED.empty_table())
    assert first["outcome"].to_pylist() == ["ok"] * 4
    sent.clear()
    second = night(local_site, first)

    assert second["outcome"].to_pylist() == ["not_modified"] * 4
    assert sent == [0] * 4
    for column in ("url", "depth", "body_hash", "etag", "links"):
        assert second[column] == first[column]
