"""From the bytes of an answer to a document tree: encodings, and input made to hurt."""

import codecs
import re

from resiliparse.parse.encoding import detect_encoding
from selectolax.lexbor import LexborHTMLParser

DEEPEST = 600
"""Elements inside each other that are kept. Tree construction is quadratic in depth: 100,000 take 38 s."""

_FEW_TAGS = 6_000
_READABLE_SHARE = 200
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# Python's own, some of which raise on any byte they do not like, whatever they are told to do with it.
_NOT_OF_PAGES = frozenset(("idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined"))
_DECLARED = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{2,40})""", re.IGNORECASE)
_HEADER = re.compile(r"""charset\s*=\s*["']?\s*([\w.:-]{2,40})""", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)[^>]*>")
# Elements that never hold others, and those that the next one of their kind closes.
_SHALLOW_NAMES = """
    area base br col embed hr img input link meta param source track wbr
    p li dt dd tr td th thead tbody tfoot option optgroup colgroup rp rt
"""
_SHALLOW = frozenset(_SHALLOW_NAMES.split())


def decode(body: bytes, content_type: str | None = None) -> str:
    """Text of a page, by byte order mark, then header, then `<meta>`, then by what the bytes look like.

    A declared encoding that the bytes contradict is not believed. Never raises: what cannot be read
    becomes U+FFFD.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, errors="replace")
    for encoding in ("utf-8", *_declared_encodings(body, content_type)):
        text = _decode_strictly(body, encoding)
        if text is not None:
            return text
    return _decode_by_guess(body, content_type)


def _declared_encodings(body: bytes, content_type: str | None) -> list[str]:
    header = _HEADER.search(content_type or "")
    meta = _DECLARED.search(body[:4096])
    names = [header.group(1)] if header else []
    names += [meta.group(1).decode("ascii", "ignore")] if meta else []
    return [name for name in names if _is_text_encoding(name)]


def _decode_strictly(body: bytes, encoding: str) -> str | None:
    # Browsers read ISO 8859-1 and ASCII as Windows-1252 (WHATWG Encoding, 4.2).
    name = "cp1252" if encoding.lower() in ("iso-8859-1", "latin-1", "latin1", "us-ascii", "ascii") else encoding
    try:
        return body.decode(name)
    except (UnicodeError, LookupError):
        return None


def _decode_by_guess(body: bytes, content_type: str | None) -> str:
    """The first declared encoding that leaves little unread, as in a text cut in the middle of a character."""
    for name in ("utf-8", *_declared_encodings(body, content_type), detect_encoding(body) or "cp1252"):
        text = body.decode(name if _is_text_encoding(name) else "utf-8", errors="replace")
        if text.count("\ufffd") * _READABLE_SHARE <= len(text):
            return text
    return body.decode("cp1252", errors="replace")


def _is_text_encoding(name: str) -> bool:
    try:
        codec = codecs.lookup(name)
        return codec._is_text_encoding and codec.name not in _NOT_OF_PAGES
    except LookupError:
        return False


def parse(html: str) -> LexborHTMLParser:
    """Document tree of a page; elements nested deeper than `DEEPEST` give up their tags, not their text."""
    html = html.replace("\x00", "")
    if html.count("<") > _FEW_TAGS:
        html = _flatten(html)
    return LexborHTMLParser(html)


def _flatten(html: str) -> str:
    depth = deepest = 0
    for tag in _TAG.finditer(html):
        if tag.group(2).lower() not in _SHALLOW:
            depth = max(0, depth - 1) if tag.group(1) else depth + 1
            deepest = max(deepest, depth)
    return html if deepest <= DEEPEST else _without_deep_tags(html)


def _without_deep_tags(html: str) -> str:
    depth = 0

    def replacement(tag: re.Match[str]) -> str:
        nonlocal depth
        if tag.group(2).lower() in _SHALLOW:
            return tag.group() if depth <= DEEPEST else " "
        before = depth
        depth = max(0, depth - 1) if tag.group(1) else depth + 1
        return tag.group() if max(before, depth) <= DEEPEST else " "

    return _TAG.sub(replacement, html)
