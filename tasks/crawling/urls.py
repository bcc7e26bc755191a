"""Canonical URLs: one spelling for one page, and the decision whether a crawl may ask for it."""

import re
from collections.abc import Iterable
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import idna

from schemas.corpus import CrawlSettings
from schemas.errors import CorpusError

MAX_LENGTH = 2_000
MAX_SEGMENTS = 20
MAX_PARAMETERS = 12

_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNRESERVED = r"A-Za-z0-9._~\-"
_IN_PATH = re.compile(rf"%[0-9A-Fa-f]{{2}}|[^{_UNRESERVED}!$&'()*+,;=:@/]")
_IN_QUERY = re.compile(rf"%[0-9A-Fa-f]{{2}}|[^{_UNRESERVED}!$'()*+,;=:@/?]")
_ASCII_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_IPV6_HOST = re.compile(r"[0-9a-f:.]+")
_PATH_SESSION = re.compile(r";(jsessionid|phpsessid|sid)=[^/;]*", re.IGNORECASE)
_NOISE_PARAMETER = re.compile(
    r"utm_\w+|mtm_\w+|pk_\w+|hsa_\w+|gclid|gclsrc|dclid|wbraid|gbraid|fbclid|msclkid|yclid|igshid|twclid|mc_[ce]id|"
    r"_ga|_gl|_hs\w+|jsessionid|phpsessid|aspsessionid\w*|asp\.net_sessionid|cfid|cftoken|session_?id|sid",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d+")
_REPEATED_SEGMENTS = re.compile(r"((?:/[^/]+){1,3})\1{3}(?:/|$)")


def canonical_url(url: str, base: str = "") -> str | None:
    """The one spelling of an http(s) URL, or None for what is no page address.

    Host in lower case and ASCII (IDNA), default port and fragment dropped, dot segments resolved,
    percent-encoding normalised (RFC 3986, section 6.2.2), session ids and click tracking dropped.
    The order of query parameters is kept: to some servers it matters. None for other schemes, for
    URLs with credentials, malformed ones, and those past the limits on length, segments or parameters.

    Args:
        url: absolute, or relative to `base`.
        base: URL of the page that links to it.
    """
    try:
        parts = urlsplit(urljoin(base, url.strip()))
        authority = _authority(parts.scheme, parts.hostname, parts.port)
        if authority is None or "@" in parts.netloc:
            return None
        path = _path(parts.path)
        query = _query(parts.query)
    except ValueError:  # malformed port, IPv6 address, IDNA label or lone surrogate
        return None
    canonical = urlunsplit((parts.scheme, authority, path, query, ""))
    too_much = len(canonical) > MAX_LENGTH or path.count("/") > MAX_SEGMENTS or query.count("&") >= MAX_PARAMETERS
    return None if too_much else canonical


def _authority(scheme: str, host: str | None, port: int | None) -> str | None:
    if scheme not in _DEFAULT_PORTS or not host:
        return None
    host = _host(host)
    if host is None:
        return None
    return host if port in (None, _DEFAULT_PORTS[scheme]) else f"{host}:{port}"


def _host(host: str) -> str | None:
    host = host.removesuffix(".")
    if ":" in host:
        return f"[{host}]" if _IPV6_HOST.fullmatch(host) else None
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode("ascii")
    return host if _ASCII_HOST.fullmatch(host) else None


def _path(path: str) -> str:
    kept: list[str] = []
    *folders, last = _PATH_SESSION.sub("", _IN_PATH.sub(_percent, path)).split("/")
    for segment in folders[1:]:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if last == "..":
        del kept[-1:]
    return "/".join(["", *kept, "" if last in (".", "..") else last])


def _query(query: str) -> str:
    parameters = (parameter for parameter in query.split("&") if parameter)
    named = (parameter for parameter in parameters if not _NOISE_PARAMETER.fullmatch(_name(parameter)))
    return "&".join(_IN_QUERY.sub(_percent, parameter) for parameter in named)


def _name(parameter: str) -> str:
    return unquote(parameter.partition("=")[0])


def _percent(found: re.Match[str]) -> str:
    """Percent-encode a character; decode an escape that stands for an unreserved one, else write it in capitals."""
    token = found[0]
    if len(token) != 3:
        return "".join(f"%{byte:02X}" for byte in token.encode())
    character = chr(int(token[1:], 16))
    return character if re.fullmatch(f"[{_UNRESERVED}]", character) else token.upper()


def url_pattern(url: str) -> str:
    """A canonical URL without its numbers and query values: what the endless pages of a trap have in common."""
    parts = urlsplit(url)
    names = sorted({_name(parameter) for parameter in parts.query.split("&")})
    return f"{parts.netloc}{_DIGITS.sub('0', parts.path)}?{'&'.join(names)}"


class Patterns:
    """The URLs that match one of `allow`, if there are any, and none of `deny`."""

    def __init__(self, allow: Iterable[str], deny: Iterable[str]) -> None:
        self._allow = [re.compile(pattern) for pattern in allow]
        self._deny = [re.compile(pattern) for pattern in deny]

    def admit(self, url: str) -> bool:
        """Whether a canonical URL is one of them."""
        allowed = not self._allow or any(pattern.search(url) for pattern in self._allow)
        return allowed and not any(pattern.search(url) for pattern in self._deny)


class Scope:
    """Which canonical URLs a corpus admits.

    A seed always is. Another URL is when its host is a seed's (without seeds: a sitemap's) or listed in
    `allow_hosts`, it matches one of `allow` (if there are any) and none of `deny`, and its path does not
    repeat itself as traps do. A sitemap is admitted where its host is one of these or that of a sitemap in
    the corpus file.

    Raises:
        CorpusError: a seed or a sitemap is not an http(s) URL.
    """

    def __init__(self, settings: CrawlSettings) -> None:
        self.seeds = [_canonical_start(seed, "seed") for seed in settings.seeds]
        self.sitemaps = [_canonical_start(sitemap, "sitemap") for sitemap in settings.sitemaps]
        robots = {urljoin(seed, "/robots.txt"): None for seed in self.seeds}
        self.robots = list(robots) if settings.sitemaps_from_robots else []
        self._hosts = {urlsplit(start).netloc for start in self.seeds or self.sitemaps} | set(settings.allow_hosts)
        self._sitemap_hosts = self._hosts | {urlsplit(sitemap).netloc for sitemap in self.sitemaps}
        self._patterns = Patterns(settings.allow, settings.deny)

    def admits(self, url: str) -> bool:
        """Whether the crawl may ask for a canonical URL."""
        parts = urlsplit(url)
        return url in self.seeds or (
            parts.netloc in self._hosts and not _REPEATED_SEGMENTS.search(parts.path) and self._patterns.admit(url)
        )

    def admits_sitemap(self, url: str) -> bool:
        """Whether the crawl may ask for a canonical URL to learn other URLs from it."""
        return urlsplit(url).netloc in self._sitemap_hosts


def _canonical_start(url: str, kind: str) -> str:
    canonical = canonical_url(url)
    if canonical is None:
        raise CorpusError(
            f"{url!r} is not an http(s) URL", where=f"crawl.{kind}s", remedy=f"Correct the {kind} in the corpus file"
        )
    return canonical
