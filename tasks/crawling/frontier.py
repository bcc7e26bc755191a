"""The frontier: what to fetch next, read off the pages that are already there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from schemas.corpus import CrawlSettings
from schemas.errors import CorpusError, CrawlError
from tasks.crawling.urls import Scope

MAX_REDIRECTS = 5


@dataclass(frozen=True)
class Request:
    """One URL to fetch.

    Attributes:
        url: canonical.
        depth: links followed from a seed; a redirect is not a link.
        etag: validator of the stored page, sent as If-None-Match.
        last_modified: validator of the stored page, sent as If-Modified-Since.
    """

    url: str
    depth: int
    etag: str | None = None
    last_modified: str | None = None


class Place(NamedTuple):
    """Where a URL stands: links followed from a seed, then redirects followed since the last link."""

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
        stored: the newest stored body of each URL: url, etag and last_modified.

    Raises:
        CorpusError: no seed may be fetched.
    """
    scope = Scope(settings)
    rows = pages.select(["url", "links", "depth", "outcome"]).to_pylist()
    tried = {row["url"] for row in rows}
    known = _nearest(_places(rows, _admitted_seeds(scope, settings)))
    waiting = {url: place for url, place in known.items() if url not in tried and scope.admits(url)}
    reachable = {url: place for url, place in waiting.items() if _within_limits(place, settings)}
    round_ = min(reachable.values(), default=None)
    chosen = sorted(url for url, place in reachable.items() if place == round_)
    room = max(0, settings.max_pages - len(tried))
    return _requests(chosen[:room], round_.depth if round_ else 0, stored)


def _admitted_seeds(scope: Scope, settings: CrawlSettings) -> list[str]:
    seeds = [seed for seed in scope.seeds if scope.admits(seed)]
    if not seeds:
        raise CorpusError(
            "no seed is an http(s) URL that allow and deny let through",
            where=", ".join(settings.seeds),
            remedy="Correct seeds, allow or deny in the corpus file",
        )
    return seeds


def _places(rows: list[dict[str, Any]], seeds: list[str]) -> Iterator[tuple[str, Place]]:
    yield from ((seed, Place(0, 0)) for seed in seeds)
    redirects = [row for row in rows if row["outcome"] == "redirected"]
    source_of = {target: row["url"] for row in redirects for target in row["links"] or ()}
    for row in rows:
        place = Place(row["depth"] + 1, 0)
        if row["outcome"] == "redirected":
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
        CrawlError: no seed gave a page; names the first one with its reason.
    """
    rows = pages.select(["url", "outcome", "detail"]).to_pylist()
    if any(row["outcome"] in ("ok", "not_modified", "redirected") for row in rows):
        return
    first = min(rows, key=lambda row: row["url"], default={"url": "", "detail": "nothing was fetched"})
    raise CrawlError(
        f"could not be fetched: {first['detail']}",
        where=first["url"],
        left_behind="No page was stored",
        remedy="See that the site is up and reachable from this machine, and that the seeds are right",
    )


def confirm(fetched: pa.Table, stored: pa.Table) -> pa.Table:
    """Fetched rows in which each `not_modified` one repeats what the site has confirmed.

    Args:
        fetched: rows of `pages`.
        stored: the newest stored body of each URL: url, body_hash, etag, last_modified and links.
    """
    known = {row["url"]: row for row in stored.to_pylist()}
    confirmed = [_confirmed(row, known.get(row["url"], {})) for row in fetched.to_pylist()]
    return pa.Table.from_pylist(confirmed, schema=fetched.schema)


def _confirmed(row: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    if row["outcome"] != "not_modified":
        return row
    repeated = ("body_hash", "etag", "last_modified", "links")
    return row | {name: row[name] or stored.get(name) for name in repeated}
