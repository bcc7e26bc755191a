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
from tasks.extraction.blocks import Block
from tasks.extraction.content import MODEL_FILE, main_content
from tasks.extraction.markdown import render
from tasks.extraction.page import Page, read_page
from tasks.outcome import Outcome, Rejection

CODE_VERSION = 4
"""Raised by every change that can change a document's text."""

_LIBRARIES = {"fast": ("selectolax", "resiliparse"), "careful": ("selectolax", "resiliparse", "trafilatura")}
_LONGEST_TITLE = 300
_SNIFFED_BYTES = 1024
_LEAST_CHARACTERS_FOR_LANGUAGE = 60
# resiliparse's distance between a text and a language's profile; its own default cut-off.
_FARTHEST_LANGUAGE = 1200
_HTML_TYPES = ("text/html", "application/xhtml+xml")
_UNSPECIFIC_TYPES = ("", "application/octet-stream", "text/plain", "application/xml", "text/xml")
_HTML_START = re.compile(rb"<(!doctype|html|head|body|title|meta|div|p|table|h[1-6]|a|ul|article)\b", re.IGNORECASE)

SOURCE = pa.schema([PAGES.schema.field(name) for name in ("url", "ds", "body", "content_type", "body_hash")])
"""What `extract_pages` reads."""

COLUMNS = pa.schema([field for field in DOCUMENTS.schema if field.name != "run_id"])
"""What `extract_pages` hands back: a documents row before the job stamps its run."""


class _NotDocument(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@lru_cache
def extractor_id(settings: ExtractSettings) -> str:
    """Fingerprint of all that decides a document's text: code, learned parameters, libraries, settings.

    Raises:
        SetupError: a library that the method needs is not installed.
    """
    try:
        libraries = {name: version(name) for name in _LIBRARIES[settings.method]}
    except PackageNotFoundError as error:
        raise SetupError(f"method {settings.method!r} needs {error.name}", remedy="Run make install") from error
    learned = digest(MODEL_FILE.read_bytes())
    made_by = {"code": CODE_VERSION, "learned": learned, "libraries": libraries}
    return fingerprint(made_by | {"settings": settings.model_dump(mode="json")})


def extract_pages(pages: pa.Table, settings: ExtractSettings) -> Outcome:
    """Make a document of every page that has readable text.

    Args:
        pages: columns `url`, `ds`, `body` (binary), `content_type` and `body_hash`.

    Returns:
        Rows of the documents table without `run_id`; a rejection, keyed by `body_hash`, for every other page.

    Raises:
        SetupError: a library that the method needs is not installed.
    """
    rows: list[dict[str, Any]] = []
    rejections: list[Rejection] = []
    for page in pages.select(["url", "ds", "body", "content_type", "body_hash"]).to_pylist():
        try:
            rows.append(_document(page, settings))
        except _NotDocument as refused:
            rejections.append(Rejection(page["body_hash"], refused.reason, f"{page['url']}: {refused.detail}"))
        except NightjarError:
            raise
        except Exception as error:  # one page's trouble is data, whatever it is
            reason = Reason.MEMORY_LIMIT if isinstance(error, MemoryError) else Reason.EXTRACTION_FAILED
            detail = f"{page['url']}: {type(error).__name__}: {error}"
            rejections.append(Rejection(page["body_hash"], reason, detail))
    return Outcome(pa.Table.from_pylist(rows, schema=COLUMNS), tuple(rejections))


def page_work(settings: Mapping[str, Any]) -> Callable[[pa.Table], Outcome]:
    """`extract_pages` for a worker process, from the fields of `ExtractSettings`."""
    return partial(extract_pages, settings=ExtractSettings(**settings))


def _document(page: Mapping[str, Any], settings: ExtractSettings) -> dict[str, Any]:
    body = page["body"] or b""
    if not _is_html(body, page["content_type"]):
        raise _NotDocument(Reason.NOT_HTML, f"content type {page['content_type'] or 'unknown'}")
    html = read_page(body, page["content_type"])
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
        "extractor_id": extractor_id(settings),
        "ds": page["ds"],
        "live": True,
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
