"""A page, read: what is known about it before anything is left out."""

import re
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser

from tasks.extraction.blocks import Block
from tasks.extraction.parsing import decode, parse
from tasks.extraction.walk import walk


@dataclass(frozen=True)
class Page:
    """Blocks of a page in reading order, and what its head says.

    Attributes:
        html: the page as text.
        tree: what it was parsed into.
        title: from `<title>`; empty when there is none.
        language: declared ISO 639-1 code; empty when there is none.
    """

    html: str
    tree: LexborHTMLParser
    blocks: list[Block]
    title: str
    language: str


def read_page(body: bytes, content_type: str | None) -> Page:
    """Decode and parse a page, and walk through it."""
    html = decode(body, content_type)
    tree = parse(html)
    named = tree.css_first("title")
    title = " ".join(named.text().split()) if named is not None else ""
    blocks = walk(tree.body) if tree.body is not None else []
    language = _language(tree.root.attributes.get("lang") if tree.root is not None else None)
    return Page(html, tree, blocks, title, language)


def _language(declared: str | None) -> str:
    code = re.split(r"[-_]", (declared or "").strip().lower())[0]
    return code if re.fullmatch(r"[a-z]{2}", code) else ""
