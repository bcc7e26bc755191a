"""The real child process against a real server."""

import contextlib
import gzip
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pytest

from schemas.corpus import CrawlSettings
from schemas.errors import CrawlError
from schemas.hashing import digest
from tasks.crawling import fetch as fetching
from tasks.crawling.fetch import fetch
from tasks.crawling.frontier import Request
from tasks.crawling.order import FETCHED, Order
from tests.tasks.crawling.local_site import LocalSite

HOST = "http://site.localhost"


def settings(**changes: object) -> CrawlSettings:
    defaults = {"seeds": (HOST + "/",), "delay_seconds": 0, "timeout_seconds": 5, "user_agent": "Nightjar/0.1 (test)"}
    return CrawlSettings.model_validate({**defaults, **changes})


def rows(requests: list[Request], site: LocalSite | None = None, **changes: object) -> dict[str, dict[str, Any]]:
    """Rows of one round by what follows the host."""
    batches = list(fetch(requests, settings(**changes), site.address if site else None))
    assert all(batch.schema == FETCHED for batch in batches)
    table = pa.Table.from_batches(batches)
    assert len(table) == len(requests)
    return {row["url"].removeprefix(HOST): row for row in table.to_pylist()}


def asked(*paths: str, depth: int = 1) -> list[Request]:
    return [Request(HOST + path, depth) for path in paths]


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_every_kind_of_answer_gives_one_row(local_site: LocalSite) -> None:
    body = '<a href="/b?x=1#top">b</a> <a href="a">a</a> <a href="/b?x=1">b</a> <a href="http://other.example/">o</a>'
    dated = {"ETag": '"v1"', "Last_Modified": "Mon, 23 Nov 2026 02:00:00 GMT", "Set_Cookie": "id=1"}
    local_site.page("/ok", body, **dated, X_Robots_Tag="otherbot: nofollow, nightjar: noai")
    local_site.page("/leaf", body, X_Robots_Tag="Nightjar: none")
    local_site.page("/same", status=304)
    local_site.page("/moved", status=301, Location="/ok")
    local_site.page("/away", status=302, Location="http://other.example/")
    local_site.page("/gone", status=410)
    local_site.page("/broken", status=500)
    local_site.page("/file.pdf", b"%PDF", Content_Type="application/pdf")
    local_site.page("/long", "x" * 20_000)
    local_site.page("/private/x", "secret")
    local_site.page("/robots.txt", "User-agent: Nightjar\nDisallow: /private/", Content_Type="text/plain")
    paths = [
        "/ok",
        "/leaf",
        "/same",
        "/moved",
        "/away",
        "/gone",
        "/missing",
        "/broken",
        "/file.pdf",
        "/long",
        "/private/x",
    ]
    requests = [*asked(*paths), *[Request(HOST + "/etag", 2, '"v7"', "Sun, 22 Nov 2026 02:00:00 GMT")]]

    found = rows(requests, local_site, max_body_bytes=10_000)

    assert {path: (row["outcome"], row["status"], row["detail"]) for path, row in found.items()} == {
        "/ok": ("ok", 200, None),
        "/leaf": ("ok", 200, None),
        "/same": ("not_modified", 304, None),
        "/moved": ("redirected", 301, f"redirects to {HOST}/ok"),
        "/away": ("refused", 302, "redirects to http://other.example/, which the corpus does not admit"),
        "/gone": ("gone", 410, "HTTP 410"),
        "/missing": ("gone", 404, "HTTP 404"),
        "/broken": ("failed", 500, "HTTP 500"),
        "/file.pdf": ("refused", 200, "not HTML but application/pdf"),
        "/long": ("refused", 0, "longer than 10000 bytes"),
        "/private/x": ("refused", 0, "disallowed by robots.txt"),
        "/etag": ("gone", 404, "HTTP 404"),
    }
    page = found["/ok"]
    assert page["body"] == body.encode() and page["body_hash"] == digest(body.encode())
    assert page["links"] == [f"{HOST}/b?x=1", f"{HOST}/a"]
    assert (page["etag"], page["last_modified"]) == ('"v1"', "Mon, 23 Nov 2026 02:00:00 GMT")
    assert (page["content_type"], page["depth"]) == ("text/html", 1)
    assert page["robots_tag"] == "otherbot: nofollow, nightjar: noai"
    assert (found["/leaf"]["robots_tag"], found["/leaf"]["links"]) == ("Nightjar: none", page["links"])
    assert found["/moved"]["links"] == [f"{HOST}/ok"]
    assert all(row["body"] is None for path, row in found.items() if path not in ("/ok", "/leaf"))

    assert "/private/x" not in local_site.paths
    assert local_site.paths.count("/robots.txt") == 1
    assert local_site.paths.count("/broken") == 3
    sent = local_site.headers_of("/etag")
    assert sent["If-None-Match"] == '"v7"'
    assert sent["If-Modified-Since"] == "Sun, 22 Nov 2026 02:00:00 GMT"
    assert (sent["Host"], sent["User-Agent"]) == ("site.localhost", "Nightjar/0.1 (test)")
    assert not any("Cookie" in headers for _, headers in local_site.requests)


def test_sitemaps_are_fetched_for_what_they_list(local_site: LocalSite) -> None:
    entry = "<url><loc>{}</loc></url>"
    listed = [f"{HOST}/a#x", "/b", f"{HOST}/private", "http://other.example/", "mailto:x"]
    body = "<urlset>" + "".join(map(entry.format, listed)) + "</urlset>"
    packed = gzip.compress(body.encode())
    local_site.page("/map.xml.gz", packed, Content_Type="application/x-gzip")
    local_site.page("/map.xml", packed, Content_Type="text/xml", Content_Encoding="gzip")
    local_site.page("/index.xml", f"<sitemapindex><sitemap><loc>{HOST}/map.xml</loc></sitemap></sitemapindex>")
    local_site.page("/page.xml", "<html></html>", Content_Type="text/xml")
    local_site.page(
        "/robots.txt", f"Sitemap: {HOST}/index.xml\nSitemap: http://other.example/x", Content_Type="text/plain"
    )
    paths = ["/map.xml.gz", "/map.xml", "/index.xml", "/page.xml", "/robots.txt", "/missing.xml"]
    requests = [Request(HOST + path, 0, sitemap=True) for path in paths]

    found = rows(requests, local_site, deny=["private"], max_body_bytes=len(body) - 1)

    assert {path: (row["outcome"], row["links"] or row["detail"]) for path, row in found.items()} == {
        "/map.xml.gz": ("sitemap", [f"{HOST}/a", f"{HOST}/b"]),
        "/map.xml": ("sitemap", [f"{HOST}/a", f"{HOST}/b"]),
        "/index.xml": ("sitemap_index", [f"{HOST}/map.xml"]),
        "/page.xml": ("refused", "no sitemap: its root is html"),
        "/robots.txt": ("sitemap_index", [f"{HOST}/index.xml"]),
        "/missing.xml": ("gone", "HTTP 404"),
    }
    assert all(row["body"] is None for row in found.values())


def test_hosts_that_cannot_be_reached_say_why() -> None:
    port = unused_port()
    requests = [
        Request(f"http://127.0.0.1:{port}/", 0),
        Request(f"http://localhost:{port}/", 0),
        Request("http://nowhere.invalid/", 0),
    ]
    found = rows(requests, allow_private_hosts=("127.0.0.1",), obey_robots=False)
    assert {url: (row["outcome"], row["detail"]) for url, row in found.items()} == {
        f"http://127.0.0.1:{port}/": ("failed", "connection refused"),
        f"http://localhost:{port}/": ("refused", found[f"http://localhost:{port}/"]["detail"]),
        "http://nowhere.invalid/": ("failed", "the name nowhere.invalid does not resolve"),
    }
    assert "which is not a public address" in found[f"http://localhost:{port}/"]["detail"]


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Process ids of the children that `fetch` starts, as it starts them."""
    started: list[int] = []
    original = fetching._child

    @contextlib.contextmanager
    def watched(order: Order, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
        with original(order, log) as process:
            started.append(process.pid)
            yield process

    monkeypatch.setattr(fetching, "_child", watched)
    return started


def test_a_killed_child_is_one_clear_error(local_site: LocalSite, children: list[int]) -> None:
    local_site.answers["/a"] = lambda _: os.kill(children[0], signal.SIGKILL)
    with pytest.raises(CrawlError, match=r"ended with status -9, 1 pages short.*Run the same command again"):
        rows(asked("/a"), local_site)


def test_closing_the_iterator_ends_the_child(local_site: LocalSite, children: list[int]) -> None:
    local_site.page("/a", "a")
    batches = fetch(asked("/a"), settings(), local_site.address)
    next(batches)
    batches.close()
    with pytest.raises(ProcessLookupError):
        os.kill(children[0], 0)
