"""Documents from pages: main content as Markdown, title and language."""

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import pyarrow as pa
from resiliparse.parse.lang import detect_fast
from selectolax.lexbor import LexborHTMLParser

from schemas.corpus import ExtractSettings
from schemas.documents import DOCUMENTS
from schemas.hashing import digest, fingerprint
from schemas.quarantine import Reason
from tasks.extraction.blocks import Block
from tasks.extraction.markdown import render
from tasks.extraction.parsing import decode, parse
from tasks.extraction.walk import walk
from tasks.outcome import Outcome, Rejection

CODE_VERSION = 1
"""Raised by every change that can change a document's text."""

_LIBRARIES = ("selectolax", "resiliparse")
_LONGEST_TITLE = 300
_SNIFFED_BYTES = 1024
_LEAST_CHARACTERS_FOR_LANGUAGE = 60
# resiliparse's distance between a text and a language's profile; its own default cut-off.
_FARTHEST_LANGUAGE = 1200
_HTML_TYPES = ("text/html", "application/xhtml+xml")
_UNSPECIFIC_TYPES = ("", "application/octet-stream", "text/plain", "application/xml", "text/xml")
_HTML_START = re.compile(rb"<(!doctype|html|head|body|title|meta|div|p|table|h[1-6]|a|ul|article)\b", re.IGNORECASE)

COLUMNS = pa.schema([field for field in DOCUMENTS.schema if field.name != "run_id"])
"""What `extract_pages` hands back: a documents row before the job stamps its run."""


class _NotDocument(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@lru_cache
def extractor_id(settings: ExtractSettings) -> str:
    """Fingerprint of all that decides a document's text: code, libraries, settings."""
    libraries = {name: version(name) for name in _LIBRARIES}
    return fingerprint({"code": CODE_VERSION, "libraries": libraries, "settings": settings.model_dump(mode="json")})


def extract_pages(pages: pa.Table, settings: ExtractSettings) -> Outcome:
    """Make a document of every page that has readable text.

    Args:
        pages: columns `url`, `ds`, `body` (binary), `content_type` and `body_hash`.

    Returns:
        Rows of the documents table without `run_id`; a rejection, keyed by `body_hash`, for every other page.
    """
    rows: list[dict[str, Any]] = []
    rejections: list[Rejection] = []
    for page in pages.select(["url", "ds", "body", "content_type", "body_hash"]).to_pylist():
        try:
            rows.append(_document(page, settings))
        except _NotDocument as refused:
            rejections.append(Rejection(page["body_hash"], refused.reason, f"{page['url']}: {refused.detail}"))
        except Exception as error:  # one page's trouble is data, whatever it is
            detail = f"{page['url']}: {type(error).__name__}: {error}"
            rejections.append(Rejection(page["body_hash"], Reason.EXTRACTION_FAILED, detail))
    return Outcome(pa.Table.from_pylist(rows, schema=COLUMNS), tuple(rejections))


def _document(page: Mapping[str, Any], settings: ExtractSettings) -> dict[str, Any]:
    body = page["body"] or b""
    if not _is_html(body, page["content_type"]):
        raise _NotDocument(Reason.NOT_HTML, f"content type {page['content_type'] or 'unknown'}")
    tree = parse(decode(body, page["content_type"]))
    blocks = main_blocks(tree)
    text = _without(render(blocks), settings.volatile)
    if not any(map(str.isalnum, text)):
        raise _NotDocument(Reason.EMPTY_TEXT, f"no text in {len(body)} bytes")
    return {
        "doc_id": digest(page["url"]),
        "url": page["url"],
        "title": _without(_title(tree, blocks), settings.volatile) or page["url"],
        "language": _language(tree, text),
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


def main_blocks(tree: LexborHTMLParser) -> list[Block]:
    """Blocks of a page that are its content; all of them where nothing else is left."""
    blocks = walk(tree.body) if tree.body is not None else []
    first = next((number for number, block in enumerate(blocks) if block.kind == "heading"), 0)
    content = [
        not _is_navigation(block) and (number >= first or _says_something(block)) for number, block in enumerate(blocks)
    ]
    kept = _without_emptied_headings(blocks, content)
    return kept if any(block.kind != "heading" for block in kept) else blocks


def _without_emptied_headings(blocks: list[Block], content: list[bool]) -> list[Block]:
    """The blocks that are content, less the headings under which everything was dropped."""
    kept: list[Block] = []
    deepest_with_content, dropped_below = 0, False
    for block, is_content in zip(reversed(blocks), reversed(content), strict=True):
        if block.kind != "heading":
            deepest_with_content = 7 if is_content else deepest_with_content
            dropped_below = dropped_below or not is_content
        elif dropped_below and deepest_with_content <= block.level:
            continue
        else:
            deepest_with_content, dropped_below = block.level, False
        if is_content:
            kept.append(block)
    return kept[::-1]


def _is_navigation(block: Block) -> bool:
    return block.kind in ("text", "item") and block.link_characters * 3 > len(block.text) * 2


def _says_something(block: Block) -> bool:
    return block.kind == "code" or len(block.text.split()) > 20


def _title(tree: LexborHTMLParser, blocks: list[Block]) -> str:
    node = tree.css_first("head > title") or tree.css_first("title")
    title = " ".join(node.text().split()) if node is not None else ""
    first_heading = next((block.text for block in blocks if block.kind == "heading"), "")
    return (title or first_heading)[:_LONGEST_TITLE]


def _language(tree: LexborHTMLParser, text: str) -> str:
    if len(text) >= _LEAST_CHARACTERS_FOR_LANGUAGE:
        code, distance = detect_fast(text)
        if code != "unknown" and distance <= _FARTHEST_LANGUAGE:
            return code
    declared = (tree.root.attributes.get("lang") or "") if tree.root is not None else ""
    code = re.split(r"[-_]", declared.strip().lower())[0]
    return code if re.fullmatch(r"[a-z]{2}", code) else "und"


def _without(text: str, patterns: tuple[str, ...]) -> str:
    for pattern in patterns:
        text = re.sub(pattern, "", text)
    return text
