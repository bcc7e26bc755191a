"""The frontier: what to fetch next, read off the pages that are already there."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from schemas.corpus import CrawlSettings
from schemas.errors import CrawlError
from tasks.crawling.urls import Scope, url_pattern

MAX_REDIRECTS = 5

# robots.txt is one step from its sitemaps; an index may list indexes, whose sitemaps list pages.
MAX_SITEMAP_STEPS = 3


@dataclass(frozen=True)
class Request:
    """One URL to fetch.

    Attributes:
        url: canonical.
        depth: links followed from a seed; a redirect is not a link.
        etag: validator of the stored page, sent as If-None-Match.
        last_modified: validator of the stored page, sent as If-Modified-Since.
        sitemap: it is fetched for the URLs it lists.
    """

    url: str
    depth: int
    etag: str | None = None
    last_modified: str | None = None
    sitemap: bool = False


class Place(NamedTuple):
    """Where a URL stands: links followed from a seed, then redirects, or steps by sitemaps, since the last link."""

    depth: int
    hops: int


def next_round(pages: pa.Table, settings: CrawlSettings, stored: pa.Table | None = None) -> list[Request]:
    """The URLs to fetch next: the nearest that are known and not fetched yet, in the order of their URLs.

    A function of the pages alone, so a crawl that was killed goes on where it stopped and chooses the
    same pages as one that was not. Empty when the crawl is complete.

    Args:
        pages: rows of this logical date that count as tried: url, links, depth and outcome. Leave out
            the failed rows of earlier runs to have them tried again.
        settings: seeds, scope and limits.
        stored: the newest stored body of each URL: url, etag, last_modified and links.

    Raises:
        CorpusError: a seed or a sitemap is not an http(s) URL.
    """
    scope = Scope(settings)
    seen = pages.select(["url", "links", "depth", "outcome"])
    rows = (confirm(seen, stored) if stored is not None else seen).to_pylist()
    tried = [row["url"] for row in rows]
    sitemaps = _sitemap_steps(rows, scope)
    known = _nearest(_places(rows, scope.seeds, sitemaps))
    waiting = {
        url: place
        for url, place in known.items()
        if (scope.admits_sitemap(url) if url in sitemaps else scope.admits(url)) and _within_limits(place, settings)
    }
    for url in tried:
        waiting.pop(url, None)
    round_ = min(waiting.values(), default=Place(0, 0))
    candidates = sorted(url for url, place in waiting.items() if place == round_)
    chosen = list(_within_caps(candidates, tried, settings))
    return [replace(made, sitemap=made.url in sitemaps) for made in _requests(chosen, round_.depth, stored)]


def _sitemap_steps(rows: list[dict[str, Any]], scope: Scope) -> dict[str, int]:
    """The sitemaps known so far, and how many steps from a start each of them is; a redirect is a step, too."""
    steps = dict.fromkeys(scope.robots, 0) | dict.fromkeys(scope.sitemaps, 1)
    leading = {row["url"]: row["links"] or () for row in rows if row["outcome"] in ("sitemap_index", "redirected")}
    for step in range(MAX_SITEMAP_STEPS):
        reached = [url for url, steps_to in steps.items() if steps_to == step and url in leading]
        steps = {link: step + 1 for url in reached for link in leading[url]} | steps
    return steps


def _within_caps(candidates: Iterable[str], tried: list[str], settings: CrawlSettings) -> Iterator[str]:
    """The candidates, in order, that the caps on pages leave room for beside what was tried already."""
    total = len(tried)
    hosts = Counter(urlsplit(url).netloc for url in tried)
    patterns = Counter(url_pattern(url) for url in tried)
    per_host = settings.max_pages_per_host or settings.max_pages
    for url in candidates:
        host, pattern = urlsplit(url).netloc, url_pattern(url)
        if total >= settings.max_pages:
            return
        if hosts[host] < per_host and patterns[pattern] < settings.max_pages_per_pattern:
            total += 1
            hosts[host] += 1
            patterns[pattern] += 1
            yield url


def _places(rows: list[dict[str, Any]], seeds: list[str], sitemaps: dict[str, int]) -> Iterator[tuple[str, Place]]:
    yield from ((seed, Place(0, 0)) for seed in seeds)
    yield from ((sitemap, Place(0, steps)) for sitemap, steps in sitemaps.items())
    redirects = [row for row in rows if row["outcome"] == "redirected"]
    source_of = {target: row["url"] for row in redirects for target in row["links"] or ()}
    for row in rows:
        if row["outcome"] == "sitemap_index":
            continue  # its sitemaps are known already, if they are near enough
        place = Place(row["depth"] + 1, 0)
        if row["outcome"] == "sitemap":
            place = Place(0, sitemaps.get(row["url"], 0) + 1)
        elif row["outcome"] == "redirected":
            place = Place(row["depth"], _hops(row["url"], source_of) + 1)
        yield from ((link, place) for link in row["links"] or ())


def _hops(url: str, source_of: dict[str, str]) -> int:
    """Redirects that led to a URL, counted no further than the limit."""
    hops = 0
    while url in source_of and hops <= MAX_REDIRECTS:
        url = source_of[url]
        hops += 1
    return hops


def _nearest(places: Iterable[tuple[str, Place]]) -> dict[str, Place]:
    nearest: dict[str, Place] = {}
    for url, place in places:
        nearest[url] = min(place, nearest.get(url, place))
    return nearest


def _within_limits(place: Place, settings: CrawlSettings) -> bool:
    return place.depth <= settings.max_depth and place.hops <= MAX_REDIRECTS


def _requests(urls: list[str], depth: int, stored: pa.Table | None) -> list[Request]:
    validators: dict[str, dict[str, Any]] = {}
    if stored is not None:
        wanted = stored.filter(pc.is_in(stored["url"], pa.array(urls, pa.string())))
        validators = {row["url"]: row for row in wanted.select(["url", "etag", "last_modified"]).to_pylist()}
    return [Request(**{"url": url, "depth": depth, **validators.get(url, {})}) for url in urls]


def check_reached(pages: pa.Table) -> None:
    """See to it that the first round reached somebody.

    Args:
        pages: rows of the first round: url, outcome and detail.

    Raises:
        CrawlError: no seed gave a page, and no sitemap a listing; names the first one with its reason.
    """
    rows = pages.select(["url", "outcome", "detail"]).to_pylist()
    if any(row["outcome"] not in ("gone", "failed", "refused") for row in rows):
        return
    first = min(rows, key=lambda row: row["url"], default={"url": "", "detail": "nothing was fetched"})
    raise CrawlError(
        f"could not be fetched: {first['detail']}",
        where=first["url"],
        left_behind="No page was stored",
        remedy="See that the site is up and reachable from this machine, and that the seeds or sitemaps are right",
    )


def confirm(fetched: pa.Table, stored: pa.Table) -> pa.Table:
    """Fetched rows in which each `not_modified` one repeats what the site has confirmed.

    Args:
        fetched: rows of `pages`, or some of their columns, url and outcome among them.
        stored: the newest stored body of each URL: url and any of the columns that are repeated.
    """
    known = {row["url"]: row for row in stored.to_pylist()}
    confirmed = [_confirmed(row, known.get(row["url"], {})) for row in fetched.to_pylist()]
    return pa.Table.from_pylist(confirmed, schema=fetched.schema)


def _confirmed(row: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    if row["outcome"] != "not_modified":
        return row
    repeated = ("body_hash", "etag", "last_modified", "robots_tag", "links")
    missing = [name for name in repeated if name in row and row[name] is None]
    return row | {name: stored.get(name) for name in missing}
