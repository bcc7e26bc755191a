"""Sitemaps (sitemaps.org), indexes of them, and the robots.txt that names them: URLs to start from."""

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

from lxml import etree
from protego import Protego

from tasks.crawling.encodings import UnpackingError, unpacked
from tasks.crawling.robots import MAX_BYTES as MAX_ROBOTS_BYTES

# What the protocol allows, and so what a site may ask of a reader.
MAX_BYTES = 50_000_000
MAX_URLS = 50_000

# Elements in all: what an entry holds beside its URL (images, languages) is read and let go of, but not without end.
MAX_ELEMENTS = 1_000_000

_ENTRIES = {"urlset": "url", "sitemapindex": "sitemap"}


class SitemapError(Exception):
    """No sitemap, or one that is broken or larger than it may be."""


@dataclass(frozen=True)
class Listing:
    """What a sitemap lists, as it stands there.

    Attributes:
        outcome: of the row it becomes.
        urls: of pages, or of sitemaps where it is an index.
    """

    outcome: Literal["sitemap", "sitemap_index"]
    urls: list[str]


def read_listing(body: bytes, url: str) -> Listing:
    """The URLs in a sitemap, an index of sitemaps, or a robots.txt; packed with gzip or not.

    Entities are not expanded, nothing is loaded, and the first `MAX_URLS` entries count.

    Raises:
        SitemapError: it is none of these, is broken, or unpacks to too much.
    """
    if url.endswith("/robots.txt"):
        rules = Protego.parse(body[:MAX_ROBOTS_BYTES].decode("utf-8", errors="replace"))
        return Listing("sitemap_index", list(rules.sitemaps)[:MAX_URLS])
    try:
        return _parsed(unpacked(body, "", "gzip", MAX_BYTES))  # one that is not packed is taken as it is
    except UnpackingError as error:
        raise SitemapError(str(error)) from error
    except etree.XMLSyntaxError as error:
        raise SitemapError(f"no sitemap: {error.msg}") from error


def _parsed(content: bytes) -> Listing:
    root = ""
    urls: list[str] = []
    entries = etree.iterparse(
        BytesIO(content),
        events=("start", "end"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    for number, (event, element) in enumerate(entries):
        if number > 2 * MAX_ELEMENTS:  # each starts and ends
            raise SitemapError(f"has more than {MAX_ELEMENTS} elements")
        if not root:
            root = _root(element)
        if event == "end" and _name(element) == _ENTRIES[root]:
            urls += [location.strip() for location in [element.findtext("{*}loc")] if location]
            _forget(element)
        if len(urls) == MAX_URLS:
            break
    return Listing("sitemap" if root == "urlset" else "sitemap_index", urls)


def _root(element: etree._Element) -> str:
    name = _name(element)
    if name not in _ENTRIES:
        raise SitemapError(f"no sitemap: its root is {name[:40]}")
    return name


def _name(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _forget(element: etree._Element) -> None:
    """Let go of an entry and of what stands before it, so that memory holds one at a time."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]
