"""What a page says about itself: its own address, its dates, its licence, and what may be done with it.

Taken as it is said, and bounded: whatever a page holds, only its beginning is read.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from email.utils import parsedate_tz
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from tasks.crawling.directives import LONGEST, content_directives
from tasks.crawling.urls import MAX_LENGTH, canonical_url

MOST_ELEMENTS = 2_000
MOST_BLOCKS = 20
LONGEST_BLOCK = 200_000
MOST_OBJECTS = 100
LONGEST_LICENCE = 300

# One query for all of them, because each costs a walk through the tree.
_ELEMENTS = (
    "base[href], meta[content], time[datetime], link[rel~='canonical' i][href], "
    "link[rel~='license' i][href], a[rel~='license' i][href], script[type='application/ld+json' i]"
)
_PUBLISHED = (
    "datepublished", "dcterms.issued", "dc.date.issued", "dcterms.date", "dc.date", "dcterms.created",
    "dc.date.created", "citation_publication_date", "parsely-pub-date", "pubdate", "publishdate", "date",
)  # fmt: skip
_MODIFIED = (
    "datemodified", "dcterms.modified", "dc.date.modified", "og:updated_time", "last-modified", "lastmod",
)  # fmt: skip
_RIGHTS = ("dcterms.license", "dc.rights.license", "dcterms.rights", "dc.rights", "copyright", "rights")
# Classes of hAtom and h-entry (microformats.org): an unmarked time may be one of anything on the page.
_TIME_OF_PUBLICATION = frozenset(("pubdate", "datepublished", "published", "dt-published", "entry-date"))
_TIME_OF_CHANGE = frozenset(("datemodified", "updated", "dt-updated"))
# What these say is about a part of the page, or about who made it.
_OTHER_TYPES = frozenset(
    ("imageobject", "videoobject", "audioobject", "mediaobject", "comment", "review", "person", "organization")
)
_ISO_DATE = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)|(\d{4})(\d{2})(\d{2})(?=$|T|\d{6}$)")
_LONGEST_DATE = 64


@dataclass(frozen=True)
class Metadata:
    """What a page says about itself; None for what it does not say.

    Attributes:
        canonical_url: of `<link rel=canonical>`, resolved and in the one spelling that URLs have here.
        published_at: day of publication, in the page's own time zone. In this order: the meta element
            article:published_time, JSON-LD's datePublished, other meta elements, a `<time>` that is marked as this.
        modified_at: day of the last change, from the same places.
        directives: robots directives of the page's meta elements.
        licence: address or words, at most 300 characters. In this order: a link with rel=license, JSON-LD's
            license, meta elements for rights or copyright.
    """

    canonical_url: str | None
    published_at: date | None
    modified_at: date | None
    directives: frozenset[str]
    licence: str | None


def read_metadata(tree: LexborHTMLParser, url: str, agent: str) -> Metadata:
    """Read a page's metadata off its tree.

    Args:
        url: the page's canonical URL; relative links are resolved against it.
        agent: our name; a meta element may have it in the place of robots.
    """
    said = _gather(tree)
    base = _address(said.base, url) or url
    structured = list(_structured(said.blocks))
    canonical = next(filter(None, (_address(href, base) for href in said.canonical)), None)
    published = _first_date(said, "article:published_time", structured, "datePublished", _PUBLISHED)
    modified = _first_date(said, "article:modified_time", structured, "dateModified", _MODIFIED)
    named = (content for name in {"robots", agent} for content in said.metas.get(name, ()))
    directives = frozenset(directive for content in named for directive in content_directives(content))
    return Metadata(canonical, published, modified, directives, _licence(said, structured, base))


@dataclass
class _Said:
    """Elements of a page that say something about it, each kind in the order of the page.

    Attributes:
        metas: contents by name, in lower case.
        times: the marks that a `<time>` carries, and its date.
    """

    base: str = ""
    canonical: list[str] = field(default_factory=list)
    licences: list[str] = field(default_factory=list)
    metas: dict[str, list[str]] = field(default_factory=dict)
    times: list[tuple[set[str], str]] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)


def _gather(tree: LexborHTMLParser) -> _Said:
    said = _Said()
    for node in tree.css(_ELEMENTS)[:MOST_ELEMENTS]:
        if node.tag == "script":
            said.blocks.append(node.text())
            continue
        # An attribute without a value is None.
        attributes = {name: value or "" for name, value in node.attributes.items()}
        if node.tag == "meta":
            _gather_meta(said, attributes)
        elif node.tag == "time":
            marks = {*attributes.get("class", "")[:LONGEST].lower().split(), attributes.get("itemprop", "").lower()}
            said.times.append((marks | (attributes.keys() & {"pubdate"}), attributes["datetime"]))
        elif node.tag == "base":
            said.base = said.base or attributes["href"]
        else:
            canonical = node.tag == "link" and "canonical" in attributes["rel"].lower().split()
            (said.canonical if canonical else said.licences).append(attributes["href"])
    return said


def _gather_meta(said: _Said, attributes: dict[str, str]) -> None:
    for kind in ("name", "property", "itemprop", "http-equiv"):
        if attributes.get(kind):
            said.metas.setdefault(attributes[kind].strip().lower(), []).append(attributes["content"])


def _address(href: str, base: str) -> str | None:
    return canonical_url(href, base) if href and len(href) <= MAX_LENGTH else None


def _structured(blocks: list[str]) -> Iterator[dict[str, Any]]:
    """Objects at the top of a page's JSON-LD: those further inside are about parts of it."""
    found = (thing for block in blocks[:MOST_BLOCKS] for thing in _top(_parsed(block)))
    for _, thing in zip(range(MOST_OBJECTS), found, strict=False):
        types = thing.get("@type")
        named = {kind.lower() for kind in (types if isinstance(types, list) else [types]) if isinstance(kind, str)}
        if not named & _OTHER_TYPES:
            yield thing


def _parsed(block: str) -> object:
    if len(block) > LONGEST_BLOCK:
        return None
    try:
        return json.loads(block, strict=False)
    except (ValueError, RecursionError):
        return None


def _top(value: object) -> Iterator[dict[str, Any]]:
    for thing in value if isinstance(value, list) else [value]:
        if isinstance(thing, dict):
            yield thing
            graph = thing.get("@graph")
            yield from (part for part in graph if isinstance(part, dict)) if isinstance(graph, list) else ()


def _first_date(
    said: _Said, foremost: str, structured: list[dict[str, Any]], key: str, metas: tuple[str, ...]
) -> date | None:
    marks = _TIME_OF_PUBLICATION if key == "datePublished" else _TIME_OF_CHANGE
    texts = [
        *said.metas.get(foremost, ()),
        *(text for thing in structured for text in _texts(thing.get(key))),
        *(text for name in metas for text in said.metas.get(name, ())),
        *(text for marked, text in said.times if marked & marks),
    ]
    return next(filter(None, map(read_date, texts)), None)


def read_date(text: str) -> date | None:
    """The day that a date of ISO 8601 or of RFC 5322 names, as it is written; None for anything else."""
    text = text.strip()[:_LONGEST_DATE]
    iso = _ISO_DATE.match(text)
    try:
        if iso:
            year, month, day = iso.group(1, 3, 4) if iso[1] else iso.group(5, 6, 7)
            return date(int(year), int(month), int(day))
        parsed = parsedate_tz(text)
        return date(*parsed[:3]) if parsed else None
    except (ValueError, IndexError, OverflowError):  # 31 February, or what the standard library stumbles over
        return None


def _licence(said: _Said, structured: list[dict[str, Any]], base: str) -> str | None:
    addresses = (_address(href, base) for href in said.licences)
    words = (_shown(text) for thing in structured for text in _texts(thing.get("license")))
    rights = (_shown(text) for name in _RIGHTS for text in said.metas.get(name, ()))
    return next((licence for source in (addresses, words, rights) for licence in source if licence), None)


def _texts(value: object) -> Iterable[str]:
    """The strings that a value of JSON-LD stands for: itself, or an object's address or name."""
    for part in value if isinstance(value, list) else [value]:
        named = (part.get(key) for key in ("@id", "url", "name", "@value")) if isinstance(part, dict) else [part]
        yield from (text for text in named if isinstance(text, str))


def _shown(text: str) -> str:
    """Printable characters on one line, bounded."""
    printable = "".join(character if character.isprintable() else " " for character in text[: 2 * LONGEST_LICENCE])
    return " ".join(printable.split())[:LONGEST_LICENCE]
