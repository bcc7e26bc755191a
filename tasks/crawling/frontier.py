"""The frontier: what to fetch next, read off the pages that are already there."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from schemas.corpus import CrawlSettings
from schemas.errors import CrawlError
from tasks.crawling.directives import agent_token, header_directives
from tasks.crawling.urls import Scope, url_pattern

SEEN = ("url", "links", "depth", "outcome", "robots_tag")
"""What the frontier reads of tonight's pages."""

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

    When links lead nowhere new, the stored pages that they did not reach, so that one that was deleted is
    noticed; then where those have moved to. Their links are not followed: a crawl that starts anew would not
    find what only they lead to.

    A function of the pages alone, so a crawl that was killed goes on where it stopped and chooses the
    same pages as one that was not. Empty when the crawl is complete.

    Args:
        pages: rows of this logical date that count as tried: url, links, depth, outcome and robots_tag. Leave
            out the failed rows of earlier runs to have them tried again.
        settings: seeds, scope and limits.
        stored: the live pages: url, etag, last_modified, robots_tag, links and depth, in the order in which
            unlinked ones are asked for.

    Raises:
        CorpusError: a seed or a sitemap is not an http(s) URL.
    """
    scope = Scope(settings)
    rows = _followed(pages.select(SEEN), settings, stored)
    tried = {row["url"] for row in rows}
    sitemaps = _sitemap_steps(rows, scope)
    linked, unlinked = _parted(rows, [*scope.seeds, *sitemaps])
    moved = [row for row in unlinked if row["outcome"] == "redirected"]
    rounds = chain(
        _nearest_first(_places(linked, scope.seeds, sitemaps), settings),
        _unlinked(stored, settings),
        _nearest_first(_places(moved, [], {}), settings),
    )
    for round_ in rounds:
        waiting = {url: depth for url, depth in round_.items() if url not in tried}
        admitted = [url for url in waiting if (scope.admits_sitemap if url in sitemaps else scope.admits)(url)]
        chosen = list(_within_caps(admitted, tried, settings)) if admitted else []
        if chosen:
            made = _requests({url: waiting[url] for url in chosen}, stored)
            return [replace(request, sitemap=request.url in sitemaps) for request in made]
    return []


def _followed(pages: pa.Table, settings: CrawlSettings, stored: pa.Table | None) -> list[dict[str, Any]]:
    """Rows with the links to follow: a 304 confirms the stored ones, and a header may forbid them."""
    rows = (confirm(pages, stored) if stored is not None else pages).to_pylist()
    if not settings.obey_nofollow:
        return rows
    agent = agent_token(settings.user_agent)
    return [row | {"links": None} if _forbids_following(row, agent) else row for row in rows]


def _forbids_following(row: dict[str, Any], agent: str) -> bool:
    is_page = row["outcome"] in ("ok", "not_modified")  # a redirect is no link, and a sitemap is there for its own
    return is_page and "nofollow" in header_directives(row["robots_tag"] or "", agent)


def _parted(rows: list[dict[str, Any]], starts: list[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows that links lead to from the starts, and the others."""
    links = {row["url"]: row["links"] or () for row in rows}
    reached, waiting = set(starts), list(starts)
    while waiting:
        found = set(links.get(waiting.pop(), ())) - reached
        reached |= found
        waiting.extend(found)
    return [row for row in rows if row["url"] in reached], [row for row in rows if row["url"] not in reached]


def _sitemap_steps(rows: list[dict[str, Any]], scope: Scope) -> dict[str, int]:
    """The sitemaps known so far, and how many steps from a start each of them is; a redirect is a step, too."""
    steps = dict.fromkeys(scope.robots, 0) | dict.fromkeys(scope.sitemaps, 1)
    leading = {row["url"]: row["links"] or () for row in rows if row["outcome"] in ("sitemap_index", "redirected")}
    for step in range(MAX_SITEMAP_STEPS):
        reached = [url for url, steps_to in steps.items() if steps_to == step and url in leading]
        steps = {link: step + 1 for url in reached for link in leading[url]} | steps
    return steps


def _within_caps(candidates: Iterable[str], tried: Collection[str], settings: CrawlSettings) -> Iterator[str]:
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


def _nearest_first(places: Iterable[tuple[str, Place]], settings: CrawlSettings) -> Iterator[dict[str, int]]:
    """Rounds of URLs and their depths: all that stand at one place within the limits, in the order of their URLs."""
    nearest: dict[str, Place] = {}
    for url, place in places:
        nearest[url] = min(place, nearest.get(url, place))
    in_order = sorted(nearest, key=lambda url: (nearest[url], url))
    for place, urls in groupby(in_order, nearest.__getitem__):
        if place.depth <= settings.max_depth and place.hops <= MAX_REDIRECTS:
            yield dict.fromkeys(urls, place.depth)


def _unlinked(stored: pa.Table | None, settings: CrawlSettings) -> Iterator[dict[str, int]]:
    """One round of all stored pages, at the depth at which links last led to them."""
    if stored is not None:
        rows = stored.select(["url", "depth"]).to_pylist()
        yield {row["url"]: row["depth"] for row in rows if row["depth"] <= settings.max_depth}


def _requests(round_: Mapping[str, int], stored: pa.Table | None) -> list[Request]:
    validators: dict[str, dict[str, Any]] = {}
    if stored is not None:
        wanted = stored.filter(pc.is_in(stored["url"], pa.array(round_, pa.string())))
        validators = {row["url"]: row for row in wanted.select(["url", "etag", "last_modified"]).to_pylist()}
    return [Request(**{"url": url, "depth": depth, **validators.get(url, {})}) for url, depth in round_.items()]


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
