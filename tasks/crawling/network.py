"""What the crawler connects to: public addresses, those a corpus names, and the site it serves itself."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Self
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.crawler import Crawler
from scrapy.exceptions import DownloadCancelledError, IgnoreRequest
from scrapy.http import Response
from scrapy.resolver import CachingHostnameResolver
from twisted.internet.address import IPv4Address as IPv4
from twisted.internet.address import IPv6Address as IPv6
from twisted.internet.base import ReactorBase
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from zope.interface import implementer

from tasks.crawling.order import Order
from tasks.crawling.site import LOOPBACK, SiteAddress

MAX_FAILURES_IN_A_ROW = 12

# Key in a request's meta: length of the answer's body as it came, before its content encoding is removed.
COMPRESSED_BYTES = "compressed_bytes"

_NAMES_CACHED = 10_000


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, looking through IPv6 forms that wrap IPv4."""
    return all(part.is_global and not part.is_multicast for part in _with_wrapped(ip_address(address)))


def _with_wrapped(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    if isinstance(address, IPv4Address):
        return [address]
    wrapped = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address.packed.startswith(bytes.fromhex("0064ff9b")):  # NAT64, RFC 6052
        wrapped.append(IPv4Address(address.packed[-4:]))
    inner = [part for part in wrapped if part is not None]
    return [*inner] if address.ipv4_mapped else [address, *inner]


@implementer(IResolutionReceiver)
class _PublicOnly:
    """Passes on the public addresses of a name and remembers the first other one."""

    # The receiver's class is Any: Twisted's interfaces are declared without the self that type checkers look for.
    def __init__(self, receiver: Any, name: str, refused: dict[str, str]) -> None:  # noqa: ANN401
        self._receiver = receiver
        self._name = name
        self._refused = refused

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        self._receiver.resolutionBegan(resolution)

    def addressResolved(self, address: IPv4 | IPv6) -> None:
        if is_public(address.host):
            self._receiver.addressResolved(address)
        else:
            self._refused.setdefault(self._name, address.host)

    def resolutionComplete(self) -> None:
        self._receiver.resolutionComplete()


@implementer(IHostnameResolver)
class GuardedResolver(CachingHostnameResolver):
    """Resolves names for connections, so that what is checked is what is connected to.

    A name that resolves to a private, loopback or link-local address is as good as unknown, unless the
    corpus allows it by name; REFUSED_ADDRESSES tells the two apart. Literal addresses pass through here as well.
    """

    def __init__(self, reactor: ReactorBase, order: Order, refused: dict[str, str]) -> None:
        super().__init__(reactor, _NAMES_CACHED)
        self._order = order
        self._refused = refused

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: ReactorBase) -> Self:
        return cls(reactor, crawler.settings["ORDER"], crawler.settings["REFUSED_ADDRESSES"])

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        receiver: Any = resolutionReceiver
        name = hostName
        if self._order.is_site(hostName, portNumber):
            name = LOOPBACK
        elif hostName not in self._order.settings.allow_private_hosts:
            receiver = _PublicOnly(resolutionReceiver, hostName, self._refused)
        return super().resolveHostName(receiver, name, portNumber, addressTypes, transportSemantics)


class HostGivenUp(IgnoreRequest):
    """A host that has failed too often in a row is left alone for the rest of the round."""


class BoundedHandler(HTTP11DownloadHandler):
    """Fetches over HTTP, never more at once from one host than the corpus allows, and not from a dead one.

    Scrapy 2.19's own bound does not hold where many requests become ready together, as they do behind
    robots.txt: it counts a request only once its download has begun. URLs of the served site go to the
    port that it listens on, with its name as Host.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._order: Order = crawler.settings["ORDER"]
        bound = self._order.settings.concurrent_requests
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(bound))
        self._failures_in_a_row: Counter[str] = Counter()

    async def download_request(self, request: Request) -> Response:
        host = urlsplit(request.url).netloc
        async with self._places[host]:
            if self._failures_in_a_row[host] >= MAX_FAILURES_IN_A_ROW:
                raise HostGivenUp(f"{host} gave no answer {MAX_FAILURES_IN_A_ROW} times in a row, left alone for now")
            try:
                response = await self._download(request)
            except Exception as error:
                answered = isinstance(error, DownloadCancelledError)  # more than was asked for
                self._failures_in_a_row[host] = 0 if answered else self._failures_in_a_row[host] + 1
                raise
            self._failures_in_a_row[host] = 0
        if request.meta.get("download_maxsize") == 0:  # no limit on the wire is one on what it unpacks to
            del request.meta["download_maxsize"]
        request.meta[COMPRESSED_BYTES] = len(response.body)
        return response

    async def _download(self, request: Request) -> Response:
        site = self._order.site
        if site is None or not request.url.startswith(f"http://{site.host}/"):
            return await super().download_request(request)
        response = await super().download_request(_on_port(request, site))
        return response.replace(url=request.url)


def _on_port(request: Request, site: SiteAddress) -> Request:
    parts = urlsplit(request.url)
    on_port = request.replace(url=parts._replace(netloc=f"{site.host}:{site.port}").geturl())
    on_port.headers["Host"] = site.host
    return on_port
