"""The crawling child: fetches one round with Scrapy and streams the rows back.

Run by `tasks.crawling.fetch` as `python -m tasks.crawling.spider`: an order (one line of JSON) comes on
standard input, Arrow record batches leave on standard output, the log goes to standard error. The child
ends when its input closes, so that it does not outlive its parent.
"""

import os
import sys
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.abc import MetaPathFinder
from typing import Any, Self
from urllib.parse import urlsplit

import scrapy
from scrapy import signals
from scrapy.crawler import AsyncCrawlerProcess, Crawler
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadTimeoutError,
    IgnoreRequest,
    StopDownload,
)
from scrapy.http import Headers, Response, TextResponse
from twisted.python.failure import Failure

from schemas.hashing import digest
from tasks.crawling.directives import LONGEST, agent_token
from tasks.crawling.encodings import MAX_RATIO, RATIO_FREE_BYTES, may_be_html
from tasks.crawling.frontier import Request
from tasks.crawling.links import page_links
from tasks.crawling.network import COMPRESSED_BYTES, HostGivenUp
from tasks.crawling.order import Order
from tasks.crawling.robots import DisallowedByRobots, RobotsUnavailable
from tasks.crawling.sitemaps import MAX_BYTES, SitemapError, read_listing
from tasks.crawling.stream import Row, RowStream
from tasks.crawling.urls import Scope, canonical_url

REDIRECTS = (301, 302, 303, 307, 308)


class PageSpider(scrapy.Spider):
    """Fetches the URLs of one order, each exactly once, and makes one row of each.

    A redirect is not followed here. Its row says where it leads, and the frontier asks for the target in
    the next round if the corpus admits it: so every hop is checked like any other URL, and a loop ends
    because no URL is fetched twice.
    """

    name = "pages"

    def __init__(self, order: Order, rows: RowStream, refused_addresses: dict[str, str]) -> None:
        super().__init__()
        self._order = order
        self._rows = rows
        self._refused_addresses = refused_addresses
        self._scope = Scope(order.settings)
        self._agent = agent_token(order.settings.user_agent)
        self._waiting = {request.url: request for request in order.requests}

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:  # noqa: ANN401
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(_skip_what_is_not_html, signals.headers_received)
        return spider

    async def start(self) -> AsyncIterator[scrapy.Request]:
        """Send the order's requests, no faster than the parent takes the rows."""
        for request in self._order.requests:
            await self._rows.room()
            yield self._request(request)

    def closed(self, reason: str) -> None:
        """Write a row for every URL that got no answer, and end the stream."""
        for request in list(self._waiting.values()):
            self._add(request, outcome="failed", detail=f"the crawler gave no answer ({reason})")
        self._rows.close()

    def _request(self, request: Request) -> scrapy.Request:
        validators = {"If-None-Match": request.etag, "If-Modified-Since": request.last_modified}
        return scrapy.Request(
            request.url,
            headers={name: value for name, value in validators.items() if value},
            callback=self._answered,
            errback=self._unanswered,
            cb_kwargs={"asked": request},
            meta={"handle_httpstatus_all": True} | ({"download_maxsize": MAX_BYTES} if request.sitemap else {}),
            dont_filter=True,
        )

    def _answered(self, response: Response, asked: Request) -> None:
        headers = {name: _header(response.headers, name) for name in ("Content-Type", "ETag", "Last-Modified")}
        self._add(
            asked,
            status=response.status,
            content_type=headers["Content-Type"],
            etag=headers["ETag"],
            last_modified=headers["Last-Modified"],
            robots_tag=robots_tag(response.headers),
            **self._outcome(response, asked),
        )

    def _outcome(self, response: Response, asked: Request) -> Row:
        """Outcome, detail, and what a page of that outcome has."""
        if response.status == 200:
            return self._sitemap(response) if asked.sitemap else self._page(response)
        if response.status in REDIRECTS:
            return self._redirected(response, asked)
        if response.status == 304:
            return {"outcome": "not_modified"}
        return {"outcome": "gone" if response.status in (404, 410) else "failed", "detail": f"HTTP {response.status}"}

    def _page(self, response: Response) -> Row:
        if not is_html(response.headers):
            return {"outcome": "refused", "detail": f"not HTML but {_header(response.headers, 'Content-Type')}"}
        if len(response.body) > max(RATIO_FREE_BYTES, MAX_RATIO * response.meta[COMPRESSED_BYTES]):
            return {"outcome": "refused", "detail": f"unpacks to more than {MAX_RATIO} times its size"}
        return {
            "outcome": "ok",
            "body": response.body,
            "body_hash": digest(response.body),
            "links": self._links(response),
        }

    def _links(self, response: Response) -> list[str]:
        if not isinstance(response, TextResponse):  # binary under the name of HTML
            return []
        return page_links(response.text, response.url, self._scope, self._order.settings.obey_nofollow, self._agent)

    def _sitemap(self, response: Response) -> Row:
        try:
            listing = read_listing(response.body, response.url)
        except SitemapError as error:
            return {"outcome": "refused", "detail": str(error)}
        admits = self._scope.admits if listing.outcome == "sitemap" else self._scope.admits_sitemap
        found = dict.fromkeys(canonical_url(url, response.url) for url in listing.urls)
        links = [url for url in found if url is not None and admits(url)]
        return {"outcome": listing.outcome, "links": links}

    def _redirected(self, response: Response, asked: Request) -> Row:
        location = _header(response.headers, "Location") or ""
        target = canonical_url(location, response.url)
        if target is None:
            return {"outcome": "failed", "detail": f"redirects to {location[:200]!r}, which is no page address"}
        if not (self._scope.admits_sitemap(target) if asked.sitemap else self._scope.admits(target)):
            return {"outcome": "refused", "detail": f"redirects to {target}, which the corpus does not admit"}
        return {"outcome": "redirected", "links": [target], "detail": f"redirects to {target}"}

    def _unanswered(self, failure: Failure) -> None:
        asked: Request = failure.request.cb_kwargs["asked"]  # type: ignore[attr-defined]
        outcome, detail = self._why(failure.value, asked)
        self._add(asked, outcome=outcome, detail=detail)

    def _why(self, error: BaseException | None, asked: Request) -> tuple[str, str]:
        """Outcome and detail of a request that no response came of."""
        settings = self._order.settings
        host = urlsplit(asked.url).hostname or ""
        most = MAX_BYTES if asked.sitemap else settings.max_body_bytes
        reasons: dict[type[Exception], tuple[str, str]] = {
            RobotsUnavailable: ("failed", str(error)),
            HostGivenUp: ("failed", str(error)),
            DisallowedByRobots: ("refused", str(error)),
            IgnoreRequest: ("refused", f"unpacks to more than {most} bytes"),
            CannotResolveHostError: ("failed", f"the name {host} does not resolve"),
            DownloadConnectionRefusedError: ("failed", "connection refused"),
            DownloadTimeoutError: ("failed", f"no complete answer within {settings.timeout_seconds:g} s"),
            DownloadCancelledError: ("refused", f"longer than {most} bytes"),
            Exception: ("failed", f"{type(error).__name__}: {error}".splitlines()[0][:300]),
        }
        if isinstance(error, CannotResolveHostError) and host in self._refused_addresses:
            return "refused", f"{host} is at {self._refused_addresses[host]}, which is not a public address"
        return next(reason for kind, reason in reasons.items() if isinstance(error, kind))

    def _add(self, asked: Request, **columns: Any) -> None:  # noqa: ANN401
        nullable = ("content_type", "body", "body_hash", "etag", "last_modified", "robots_tag", "links", "detail")
        empty: Row = dict.fromkeys(nullable)
        answer = {"url": asked.url, "depth": asked.depth, "fetched_at": datetime.now(UTC), "status": 0}
        self._rows.add({**empty, **answer, **columns})
        self._waiting.pop(asked.url, None)


def is_html(headers: Headers) -> bool:
    """Whether an answer says that it is HTML, or does not say what it is."""
    return may_be_html(_header(headers, "Content-Type"))


def _header(headers: Headers, name: str) -> str | None:
    value = headers.get(name)
    return value.decode("latin-1") if value else None


def robots_tag(headers: Headers) -> str | None:
    """An answer's X-Robots-Tag headers, one a line."""
    values = (value.decode("latin-1") for value in headers.getlist("X-Robots-Tag"))
    return "\n".join(values)[:LONGEST] or None


def _skip_what_is_not_html(headers: Headers, request: scrapy.Request) -> None:
    """Do not download the body of a file that no page is made of."""
    asked: Request | None = request.cb_kwargs.get("asked")
    if asked is not None and not asked.sitemap and not is_html(headers):
        raise StopDownload(fail=False)


def scrapy_settings(order: Order, refused_addresses: dict[str, str]) -> dict[str, Any]:
    """What Scrapy is told for an order: polite, without memory of its own, nothing beside plain fetches."""
    settings = order.settings
    return {
        "ORDER": order,
        "REFUSED_ADDRESSES": refused_addresses,
        "USER_AGENT": settings.user_agent,
        "DOWNLOAD_DELAY": settings.delay_seconds,
        "DOWNLOAD_DELAY_JITTER": 0,
        "DOWNLOAD_TIMEOUT": settings.timeout_seconds,
        "DOWNLOAD_MAXSIZE": settings.max_body_bytes,
        "DOWNLOAD_WARNSIZE": 0,
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "CONCURRENT_REQUESTS_PER_DOMAIN": settings.concurrent_requests,
        "RETRY_HTTP_CODES": [500, 502, 503, 504],
        "RETRY_GIVE_UP_LOG_LEVEL": "DEBUG",
        "TWISTED_DNS_RESOLVER": "tasks.crawling.network.GuardedResolver",
        "DOWNLOAD_HANDLERS": dict.fromkeys(("http", "https"), "tasks.crawling.network.BoundedHandler"),
        "DOWNLOADER_MIDDLEWARES": {"tasks.crawling.robots.RobotsMiddleware": 100},
        "ROBOTSTXT_OBEY": False,
        "COOKIES_ENABLED": False,
        "REDIRECT_ENABLED": False,
        "METAREFRESH_ENABLED": False,
        "REFERER_ENABLED": False,
        "HTTPPROXY_ENABLED": False,
        "EXTENSIONS_BASE": {},
        "SPIDER_MIDDLEWARES_BASE": {},
        "LOG_LEVEL": "ERROR",
    }


def _end_with_parent() -> None:
    def wait_for_the_end() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait_for_the_end, name="parent", daemon=True).start()


class _WithoutPandas(MetaPathFinder):
    """Keeps pyarrow from importing pandas, which takes it longer than a small round, to ask whether a list is one."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Refuse pandas; leave everything else to the other finders."""
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not needed here", name=fullname)


def main() -> None:
    """Fetch the order on standard input."""
    sys.meta_path.insert(0, _WithoutPandas())
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not end up in the stream
    order = Order.from_json(sys.stdin.buffer.readline().decode())
    _end_with_parent()
    refused_addresses: dict[str, str] = {}
    process = AsyncCrawlerProcess(scrapy_settings(order, refused_addresses))
    process.crawl(PageSpider, order=order, rows=RowStream(sink), refused_addresses=refused_addresses)
    process.start()
    sys.exit(1 if process.bootstrap_failed else 0)


if __name__ == "__main__":
    main()
