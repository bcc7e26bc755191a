"""Units: the pieces of a Markdown text that a passage is made of, and that it does not cut."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["heading", "text", "item", "row", "code"]

_LINE = re.compile(r"[^\n]*(?:\n|\Z)")
_HEADING = re.compile(r"(#{1,6}) +(.*\S)")
_FENCE = re.compile(r" *(`{3,}|~{3,})")
_RULE = re.compile(r"\|(?: *:?-+:? *\|)+")
_ITEM = re.compile(r"( *)(?:[-*+]|\d{1,9}[.)]) +\S")


@dataclass(frozen=True, slots=True)
class Unit:
    """A heading, paragraph, outermost list item, table row (the first with its rule) or fenced code: text[start:end].

    Attributes:
        level: of a heading, 1 to 6.
    """

    kind: Kind
    start: int
    end: int
    level: int = 0


@dataclass(slots=True)
class _Open:
    kind: Kind
    start: int
    end: int
    indent: int = 0


def read_units(text: str) -> list[Unit]:
    """Units of a document in order. Between them stands only white space."""
    return list(_Reader(text).read())


class _Reader:
    """Goes through the lines once; `open` is the unit that the next line may continue."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.open: _Open | None = None
        self.fence = ""
        self.blank = False

    def read(self) -> Iterator[Unit]:
        for match in _LINE.finditer(self.text):
            line = match.group().rstrip()
            if self.fence:
                self._continue_code(line, match.start())
            elif not line:
                self.blank = True
            else:
                yield from self._read_line(line, match.start())
                self.blank = False
        yield from self._close()

    def _read_line(self, line: str, start: int) -> Iterator[Unit]:
        if self._continues(line):
            self._extend(start + len(line))
            self.fence = _opened_fence(line)
            return
        yield from self._close()
        if heading := _HEADING.fullmatch(line):
            yield Unit("heading", start, start + len(line), len(heading.group(1)))
        else:
            self._begin(line, start)

    def _continues(self, line: str) -> bool:
        if self.open is None or _HEADING.fullmatch(line):
            return False
        if self.open.kind == "row":
            return not self.blank and _RULE.fullmatch(line) is not None
        indent = len(line) - len(line.lstrip(" "))
        if self.open.kind == "item":
            return indent > self.open.indent or not (self.blank or _ITEM.match(line) or _begins_other(line))
        return self.open.kind == "text" and not (self.blank or _ITEM.match(line) or _begins_other(line))

    def _begin(self, line: str, start: int) -> None:
        item = _ITEM.match(line)
        self.fence = _opened_fence(line)
        kind: Kind = "code" if self.fence else "row" if line.startswith("|") else "item" if item else "text"
        self.open = _Open(kind, start, start + len(line), len(item.group(1)) if item else 0)

    def _continue_code(self, line: str, start: int) -> None:
        self._extend(start + len(line))
        if line.strip() == self.fence:
            self.fence = ""

    def _extend(self, end: int) -> None:
        if self.open is not None:
            self.open.end = end

    def _close(self) -> Iterator[Unit]:
        if self.open is not None:
            yield Unit(self.open.kind, self.open.start, self.open.end)
        self.open = None


def _opened_fence(line: str) -> str:
    fence = _FENCE.match(line)
    return fence.group(1) if fence else ""


def _begins_other(line: str) -> bool:
    return line.startswith("|") or bool(_FENCE.match(line))
