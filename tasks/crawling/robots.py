"""robots.txt as RFC 9309 has it: cached per site, closed while the site cannot say."""

import asyncio
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from protego import Protego
from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import IgnoreRequest, StopDownload
from scrapy.http import Response

from tasks.crawling.directives import agent_token
from tasks.crawling.order import Order

MAX_BYTES = 512_000
MAX_REDIRECTS = 5
MAX_DELAY_SECONDS = 30.0

# Key in a request's meta: it asks for robots.txt, and so many bytes of the answer have come.
_ROBOTS = "robots_bytes"


class DisallowedByRobots(IgnoreRequest):
    """The site's robots.txt says no."""


class RobotsUnavailable(IgnoreRequest):
    """The site cannot say what it allows, so nothing is fetched from it now."""


@dataclass(frozen=True)
class Rules:
    """What a site allows; nothing at all while `unavailable` says why its robots.txt could not be had."""

    parsed: Protego = field(default_factory=lambda: Protego.parse(""))
    unavailable: str = ""


def rules_of(status: int, content_type: str, body: bytes) -> Rules:
    """The rules that an answer to /robots.txt stands for.

    Any 4xx but 429 and any answer that is not text/plain count as absent (everything is allowed); 429 and
    5xx close the site for now. Beyond the first 512,000 bytes nothing is read (RFC 9309, section 2.5).
    """
    if status >= 500 or status == 429:
        return Rules(unavailable=f"HTTP {status}")
    kind = content_type.partition(";")[0].strip().lower()
    if status != 200 or kind not in ("text/plain", ""):
        return Rules()
    return Rules(Protego.parse(body[:MAX_BYTES].decode("utf-8", errors="replace")))


class RobotsMiddleware:
    """Lets a request through when the rules of its site do, at the pace they ask for."""

    def __init__(self, crawler: Crawler) -> None:
        order: Order = crawler.settings["ORDER"]
        self._crawler = crawler
        self._agent = agent_token(order.settings.user_agent)
        self._delay = order.settings.delay_seconds
        self._obey = order.settings.obey_robots
        self._rules: dict[str, asyncio.Future[Rules]] = {}
        crawler.signals.connect(self._stop_at_limit, signals.bytes_received)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "RobotsMiddleware":
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        """Raise `DisallowedByRobots` or `RobotsUnavailable` where the request may not be sent."""
        if not self._obey or _ROBOTS in request.meta:
            return
        rules = await self._rules_for(request.url)
        if rules.unavailable:
            raise RobotsUnavailable(f"robots.txt cannot be had ({rules.unavailable}), not fetched now")
        if not rules.parsed.can_fetch(request.url, self._agent):
            raise DisallowedByRobots("disallowed by robots.txt")

    async def _rules_for(self, url: str) -> Rules:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._rules:
            self._rules[origin] = asyncio.ensure_future(self._fetch(origin))
        return await self._rules[origin]

    async def _fetch(self, origin: str) -> Rules:
        try:
            response = await self._download(f"{origin}/robots.txt")
        except Exception as error:  # whatever the reason, a site that cannot say is left alone for now
            return Rules(unavailable=str(error).splitlines()[0] if str(error) else type(error).__name__)
        content_type = (response.headers.get("Content-Type") or b"").decode("latin-1")
        rules = rules_of(response.status, content_type, response.body)
        self._slow_down(origin, rules)
        return rules

    async def _download(self, url: str) -> Response:
        assert self._crawler.engine is not None
        for _ in range(MAX_REDIRECTS + 1):
            # However long it says it is, its beginning counts: `_stop_at_limit` cuts it.
            request = Request(url, meta={_ROBOTS: 0, "download_maxsize": 0}, priority=1)
            response: Response = await self._crawler.engine.download_async(request)
            if response.status not in (301, 302, 303, 307, 308):
                break
            url = urljoin(url, (response.headers.get("Location") or b"").decode("latin-1"))
        return response

    def _slow_down(self, origin: str, rules: Rules) -> None:
        """Take the site's delay where it is larger than ours, up to a cap."""
        asked = min(float(rules.parsed.crawl_delay(self._agent) or 0), MAX_DELAY_SECONDS)
        if asked <= self._delay:
            return
        assert self._crawler.engine is not None
        downloader = self._crawler.engine.downloader
        host = urlsplit(origin).hostname or ""
        downloader.per_slot_settings[host] = {"delay": asked}
        if host in downloader.slots:
            downloader.slots[host].delay = asked

    def _stop_at_limit(self, data: bytes, request: Request) -> None:
        if _ROBOTS not in request.meta:
            return
        request.meta[_ROBOTS] += len(data)
        if request.meta[_ROBOTS] > MAX_BYTES:
            raise StopDownload(fail=False)
