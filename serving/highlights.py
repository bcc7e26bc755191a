"""Which parts of a passage the words of a query are found in."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from warehouse.lexical import WORD, Analyser


@dataclass(frozen=True)
class Span:
    """Characters of a passage's text, begin included and end not."""

    begin: int
    end: int


def matching_spans(text: str, terms: Iterable[str], analyser: Analyser) -> list[Span]:
    """Where the words stand that become one of the terms, in order. Offsets count the characters of `text` as it is."""
    wanted = frozenset(terms)
    words = (Span(*found.span()) for found in WORD.finditer(text))
    return [span for span in words if wanted.intersection(analyser.terms(text[span.begin : span.end]))]


def marked(text: str, spans: Iterable[Span]) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether a span covers it; together they are the text.

    >>> marked("a moth", [Span(2, 6)])
    [('a ', False), ('moth', True)]
    """
    pieces, position = [], 0
    for span in spans:
        pieces += [(text[position : span.begin], False), (text[span.begin : span.end], True)]
        position = span.end
    return [piece for piece in [*pieces, (text[position:], False)] if piece[0]]


def web_address(url: str) -> str | None:
    """The URL if a browser may be sent there: http or https, nothing else. Crawled text is hostile."""
    return url if re.match(r"https?://[^\s/]", url, re.IGNORECASE) else None
