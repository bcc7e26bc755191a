"""Documents from pages: main content as Markdown, title and language."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pyarrow as pa
from resiliparse.parse.lang import detect_fast

from schemas.corpus import ExtractSettings
from schemas.documents import DOCUMENTS
from schemas.errors import NightjarError, SetupError
from schemas.hashing import digest, fingerprint
from schemas.pages import PAGES
from schemas.quarantine import Reason
from tasks.crawling.directives import header_directives
from tasks.extraction.blocks import Block
from tasks.extraction.content import MODEL_FILE, main_content
from tasks.extraction.markdown import render
from tasks.extraction.metadata import read_metadata
from tasks.extraction.page import Page, read_page
from tasks.outcome import Outcome, Rejection, failure

CODE_VERSION = 5
"""Raised by every change that can change a document's text or what is known about it."""

_LIBRARIES = {"fast": ("selectolax", "resiliparse"), "careful": ("selectolax", "resiliparse", "trafilatura")}
_LONGEST_TITLE = 300
_SNIFFED_BYTES = 1024
_LEAST_CHARACTERS_FOR_LANGUAGE = 60
# resiliparse's distance between a text and a language's profile; its own default cut-off.
_FARTHEST_LANGUAGE = 1200
_HTML_TYPES = ("text/html", "application/xhtml+xml")
_UNSPECIFIC_TYPES = ("", "application/octet-stream", "text/plain", "application/xml", "text/xml")
_HTML_START = re.compile(rb"<(!doctype|html|head|body|title|meta|div|p|table|h[1-6]|a|ul|article)\b", re.IGNORECASE)

PAGE_KEY = pa.field("page_key", pa.string())
"""What a page's document depends on."""

SOURCE = pa.schema(
    [
        *(PAGES.schema.field(name) for name in ("url", "ds", "body", "content_type", "body_hash", "robots_tag")),
        PAGE_KEY,
    ]
)
"""What `extract_pages` reads."""

COLUMNS = DOCUMENTS.unstamped
"""What `extract_pages` hands back: a documents row before the job stamps its run."""


class _NotDocument(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@lru_cache
def extractor_id(settings: ExtractSettings, agent: str) -> str:
    """Fingerprint of all that decides a document: code, learned parameters, libraries, settings, our name.

    Args:
        agent: what directives call us by.

    Raises:
        SetupError: a library that the method needs is not installed.
    """
    try:
        libraries = {name: version(name) for name in _LIBRARIES[settings.method]}
    except PackageNotFoundError as error:
        raise SetupError(f"method {settings.method!r} needs {error.name}", remedy="Run make install") from error
    learned = digest(MODEL_FILE.read_bytes())
    made_by = {"code": CODE_VERSION, "learned": learned, "libraries": libraries}
    return fingerprint(made_by | {"settings": settings.model_dump(mode="json"), "agent": agent})


def extract_pages(pages: pa.Table, settings: ExtractSettings, agent: str) -> Outcome:
    """Make a document of every page that has readable text and does not ask to be left out.

    Args:
        pages: columns of `SOURCE`.
        agent: our name, from `tasks.crawling.directives.agent_token`.

    Returns:
        Rows of the documents table without `run_id`; a rejection, keyed by `page_key`, for every other page.

    Raises:
        SetupError: a library that the method needs is not installed.
    """
    rows: list[dict[str, Any]] = []
    rejections: list[Rejection] = []
    for page in pages.to_pylist():
        try:
            rows.append(_document(page, settings, agent))
        except _NotDocument as refused:
            rejections.append(Rejection(page["page_key"], refused.reason, f"{page['url']}: {refused.detail}"))
        except NightjarError:
            raise
        except Exception as error:  # one page's trouble is data, whatever it is
            rejections.append(failure(page["page_key"], page["url"], Reason.EXTRACTION_FAILED, error))
    return Outcome(pa.Table.from_pylist(rows, schema=COLUMNS), tuple(rejections))


def page_work(settings: Mapping[str, Any], agent: str) -> Callable[[pa.Table], Outcome]:
    """`extract_pages` for a worker process, from the fields of `ExtractSettings`."""
    return partial(extract_pages, settings=ExtractSettings(**settings), agent=agent)


def _document(page: Mapping[str, Any], settings: ExtractSettings, agent: str) -> dict[str, Any]:
    body = page["body"] or b""
    if not _is_html(body, page["content_type"]):
        raise _NotDocument(Reason.NOT_HTML, f"content type {page['content_type'] or 'unknown'}")
    html = read_page(body, page["content_type"])
    said = _said(page, html, settings, agent)
    blocks = main_content(html, careful=settings.method == "careful")
    text = _without(render(blocks), settings.volatile)
    if not any(map(str.isalnum, text)):
        raise _NotDocument(Reason.EMPTY_TEXT, f"no text in {len(body)} bytes")
    return {
        "doc_id": digest(page["url"]),
        "url": page["url"],
        "title": _without(_title(html, blocks), settings.volatile) or page["url"],
        "language": _language(html, text),
        "text": text,
        "body_hash": page["body_hash"],
        "extractor_id": extractor_id(settings, agent),
        "ds": page["ds"],
        "live": True,
        **said,
    }


def _said(page: Mapping[str, Any], html: Page, settings: ExtractSettings, agent: str) -> dict[str, Any]:
    """Columns of what the page and its headers say about themselves."""
    metadata = read_metadata(html.tree, page["url"], agent)
    directives = metadata.directives | header_directives(page["robots_tag"] or "", agent)
    obeyed = directives.intersection(settings.obey)
    if "noindex" in obeyed:
        where = "its robots meta element" if "noindex" in metadata.directives else "its X-Robots-Tag header"
        raise _NotDocument(Reason.NOINDEX, f"{where} says noindex")
    return {
        "canonical_url": metadata.canonical_url,
        "published_at": metadata.published_at,
        "modified_at": metadata.modified_at,
        "directives": sorted(directives),
        "licence": metadata.licence,
        "withheld": "noai" in obeyed,
        "robots_tag": page["robots_tag"],
    }


def _is_html(body: bytes, content_type: str | None) -> bool:
    kind = (content_type or "").split(";")[0].strip().lower()
    if b"\x00" in body[:_SNIFFED_BYTES] and not body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _HTML_START.search(body[:_SNIFFED_BYTES]) is not None
    if kind in _HTML_TYPES:
        return not body.startswith((b"%PDF-", b"PK\x03\x04", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"\x1f\x8b"))
    return kind in _UNSPECIFIC_TYPES and _HTML_START.search(body[:_SNIFFED_BYTES]) is not None


def _title(page: Page, blocks: list[Block]) -> str:
    first_heading = next((block.text for block in blocks if block.kind == "heading"), "")
    return (page.title or first_heading)[:_LONGEST_TITLE]


def _language(page: Page, text: str) -> str:
    if len(text) >= _LEAST_CHARACTERS_FOR_LANGUAGE:
        code, distance = detect_fast(text)
        if code != "unknown" and distance <= _FARTHEST_LANGUAGE:
            return code
    return page.language or "und"


def _without(text: str, patterns: tuple[str, ...]) -> str:
    for pattern in patterns:
        text = re.sub(pattern, "", text)
    return text
