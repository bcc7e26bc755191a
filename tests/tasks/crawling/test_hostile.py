"""A site that means harm: a crawl of it ends, says why each page was refused, and fetches nothing forbidden."""

import socket
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pyarrow as pa
import pytest

from schemas.corpus import CrawlSettings
from tasks.crawling.fetch import fetch
from tasks.crawling.frontier import Request, next_round
from tasks.crawling.order import FETCHED
from tests.tasks.crawling.local_site import LocalSite, serve_locally

HOST = "http://site.localhost"
METADATA = "http://169.254.169.254/latest/meta-data/"
MEGABYTE = 1_000_000


def settings(**changes: object) -> CrawlSettings:
    defaults = {"seeds": (HOST + "/",), "delay_seconds": 0, "timeout_seconds": 1, "user_agent": "Nightjar/0.1 (test)"}
    return CrawlSettings.model_validate({**defaults, **changes})


def fetched(site: LocalSite, paths: list[str], **changes: object) -> dict[str, tuple[str, str | None]]:
    """Outcome and detail by path."""
    batches = fetch([Request(HOST + path, 1) for path in paths], settings(**changes), site.address)
    rows = pa.Table.from_batches(batches, FETCHED).to_pylist()
    return {row["url"].removeprefix(HOST): (row["outcome"], row["detail"]) for row in rows}


def bomb(megabytes: int) -> bytes:
    """Gzip of that many megabytes of nothing, made from one block over and over; its checksum is wrong."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = deflate.compress(b"\0") + deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(bytes(MEGABYTE)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return head + block * megabytes + deflate.flush()


def drip(handler: BaseHTTPRequestHandler) -> None:
    """One byte at a time, for longer than anybody should wait."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.end_headers()
    for _ in range(600):
        handler.wfile.write(b"x")
        time.sleep(0.1)


def pour(handler: BaseHTTPRequestHandler) -> None:
    """A robots.txt of 50 MB that forbids one page at its beginning."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.send_header("Content-Length", str(50 * MEGABYTE))
    handler.end_headers()
    handler.wfile.write(b"User-agent: *\nDisallow: /forbidden\n")
    for _ in range(50):
        handler.wfile.write(b"#" * MEGABYTE)


def test_hostile_answers_are_refused_with_their_reason(local_site: LocalSite) -> None:
    local_site.answers["/robots.txt"] = pour
    local_site.answers["/drip"] = drip
    local_site.page("/forbidden")
    local_site.page("/bomb", bomb(7_000), Content_Encoding="gzip")
    local_site.page("/small-bomb", bomb(3), Content_Encoding="gzip")
    local_site.page("/charset", "<p>é</p>", Content_Type="text/html; charset=no-such-charset")
    local_site.page("/binary", bytes(range(256)) * 50)
    local_site.page("/nested", "<div>" * 100_000 + '<a href="/never">')
    local_site.page("/metadata", status=302, Location=METADATA)
    local_site.page("/file", status=302, Location="file:///etc/passwd")
    local_site.page("/loop", status=302, Location="/loop")
    found = fetched(local_site, [path for path in local_site.answers if path != "/robots.txt"])

    assert found == {
        "/drip": ("failed", "no complete answer within 1 s"),
        "/forbidden": ("refused", "disallowed by robots.txt"),
        "/bomb": ("refused", "unpacks to more than 8000000 bytes"),
        "/small-bomb": ("refused", "unpacks to more than 100 times its size"),
        "/charset": ("ok", None),
        "/binary": ("ok", None),
        "/nested": ("ok", None),
        "/metadata": ("refused", f"redirects to {METADATA}, which the corpus does not admit"),
        "/file": ("failed", "redirects to 'file:///etc/passwd', which is no page address"),
        "/loop": ("redirected", f"redirects to {HOST}/loop"),
    }
    assert "/forbidden" not in local_site.paths
    assert local_site.paths.count("/loop") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
def test_no_spelling_of_loopback_is_connected_to(local_site: LocalSite, host: str) -> None:
    url = f"http://{host}:{local_site.port}/"
    (batch,) = fetch([Request(url, 0)], settings(obey_robots=False))
    (row,) = batch.to_pylist()
    assert row["outcome"] == "refused"
    assert "which is not a public address" in row["detail"]
    assert local_site.requests == []


def test_another_port_of_the_served_site_is_private(local_site: LocalSite) -> None:
    with serve_locally() as neighbour:
        url = f"{HOST}:{neighbour.port}/"
        (batch,) = fetch([Request(url, 0)], settings(obey_robots=False), local_site.address)
        assert batch.to_pylist()[0]["outcome"] in ("refused", "failed")  # does the machine resolve *.localhost?
        assert neighbour.requests == []


def test_a_site_whose_robots_fail_is_not_fetched_now(local_site: LocalSite) -> None:
    local_site.page("/robots.txt", status=503)
    local_site.page("/a")
    assert fetched(local_site, ["/a"]) == {"/a": ("failed", "robots.txt cannot be had (HTTP 503), not fetched now")}
    assert "/a" not in local_site.paths


def test_a_dead_host_is_left_alone_and_the_bound_on_requests_holds(local_site: LocalSite) -> None:
    under_way: list[str] = []
    most: list[int] = []
    lock = threading.Lock()

    def stall(handler: BaseHTTPRequestHandler) -> None:
        with lock:
            under_way.append(handler.path)
            most.append(len(under_way))
        time.sleep(0.5)
        with lock:
            under_way.remove(handler.path)
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    paths = [f"/{number}" for number in range(30)]
    local_site.answers.update(dict.fromkeys(paths, stall))
    found = fetched(local_site, paths, concurrent_requests=2, timeout_seconds=30)
    assert {outcome for outcome, _ in found.values()} == {"failed"}
    assert any("left alone for now" in str(detail) for _, detail in found.values())
    assert len([path for path in local_site.paths if path != "/robots.txt"]) <= 14
    assert max(most) <= 2


def endless(pages: pa.Table, limits: CrawlSettings) -> Iterator[list[Request]]:
    """Rounds over a calendar whose every day links to the next two."""
    while round_ := next_round(pages, limits):
        yield round_
        days = [int(request.url.rpartition("/")[2] or 0) for request in round_]
        rows = [
            {"url": request.url, "depth": request.depth, "outcome": "ok", "status": 200}
            | {"links": [f"{HOST}/day/{2 * day + 1}", f"{HOST}/day/{2 * day + 2}"]}
            for request, day in zip(round_, days, strict=True)
        ]
        pages = pa.concat_tables([pages, pa.Table.from_pylist(rows, schema=FETCHED)])


def test_an_endless_calendar_ends() -> None:
    limits = settings(max_pages_per_pattern=50, max_depth=1_000, max_pages=10_000)
    assert sum(map(len, endless(FETCHED.empty_table(), limits))) == 51
