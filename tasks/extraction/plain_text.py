"""Structure in preformatted text: underlined headings, bullets, paragraphs wrapped by hand, code by indentation."""

import re
from dataclasses import dataclass, field

from tasks.extraction.blocks import Block, Element

_UNDERLINE = re.compile(r"([=*\-~^\"#.+])\1{2,}\s*$")
_BULLET = re.compile(r"(\s*)([*\-•]|\d{1,3}[.)])\s+(?=\S)")
_WORD = re.compile(r"[^\W\d_]{2,}")
_CODE_SIGNS = re.compile(r"[=(){}\[\];<>|]|::")
_PROMPT = re.compile(r"\s*(>>>|\.\.\. |\$ )")
_DRAWING = re.compile(r"\s*(\+[-=+]{3,}|\|.*\|$)")
_LITERAL_INDENT = 2


def reads_as_prose(text: str) -> bool:
    """Whether a preformatted text begins with an underlined heading, or is mostly sentences at the margin."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 2 and _underlines(lines[1], lines[0]):
        return True
    prose = sum(len(line) for line in lines if _is_sentence_part(line))
    return prose * 2 > sum(len(line) for line in lines)


def _is_sentence_part(line: str) -> bool:
    letters = sum(map(len, _WORD.findall(line)))
    return not line[0].isspace() and len(_WORD.findall(line)) >= 4 and letters * 10 >= len(line) * 6


def structure(text: str, element: Element, base_level: int, group: int) -> list[Block]:
    """Blocks of a preformatted text.

    Args:
        element: it stands in.
        base_level: of the heading it stands under; its own begin one below.
        group: number that its list items get.
    """
    state = _Reader(element, base_level, group)
    lines = text.expandtabs().splitlines()
    for line, following in zip(lines, [*lines, ""][1:], strict=True):
        state.read(line.rstrip(), following.rstrip())
    state.finish()
    return state.blocks


@dataclass
class _Reader:
    element: Element
    base_level: int
    group: int
    blocks: list[Block] = field(default_factory=list)
    underlines: list[str] = field(default_factory=list)
    kind: str = ""
    lines: list[str] = field(default_factory=list)
    indent: int = 0
    marker: str = ""
    blank: bool = True

    def read(self, line: str, following: str) -> None:
        """One line, with a look at the next."""
        if not line:
            self._read_blank()
        elif self._is_heading(line, following):
            self.finish()
            self._add_heading(line.strip(), following[0])
        elif not (_UNDERLINE.fullmatch(line) and self._follows_heading()):
            self._read_text(line)
            self.blank = False

    def _read_blank(self) -> None:
        self.blank = True
        if self.kind == "code":
            self.lines.append("")

    def _is_heading(self, line: str, following: str) -> bool:
        is_start = self.blank or not self.lines
        return is_start and _underlines(following, line)

    def _follows_heading(self) -> bool:
        return not self.lines and bool(self.blocks) and self.blocks[-1].kind == "heading"

    def _add_heading(self, text: str, sign: str) -> None:
        if sign not in self.underlines:
            self.underlines.append(sign)
        level = min(6, self.base_level + 1 + self.underlines.index(sign))
        self.blocks.append(Block("heading", text, self.element, level=level))

    def _read_text(self, line: str) -> None:
        indent = len(line) - len(line.lstrip())
        bullet = _BULLET.match(line)
        if self._continues_code(line, indent):
            self.lines.append(line)
        elif self._begins_code(line, indent):
            self._begin("code", line, indent)
        elif bullet:
            self._begin("item", line[bullet.end() :], bullet.end(), f"{bullet.group(2)} ")
        elif self.blank or (self.kind == "item" and indent < self.indent) or self.kind == "code":
            self._begin("text", line.strip(), indent)
        else:
            self.lines.append(line.strip())

    def _continues_code(self, line: str, indent: int) -> bool:
        if self.kind != "code":
            return False
        # What a session prints stands at the margin below its prompt.
        shown = not self.blank and any(map(_PROMPT.match, (self.lines[0], line)))
        drawn = not self.blank and _DRAWING.match(line) is not None
        return shown or drawn or indent >= max(_LITERAL_INDENT, self.indent)

    def _begins_code(self, line: str, indent: int) -> bool:
        if _PROMPT.match(line) or _DRAWING.match(line):
            return True
        if not self.blank or indent < _LITERAL_INDENT or _BULLET.match(line):
            return False
        announced = self.lines[-1].endswith("::") if self.lines else False
        return announced or _looks_like_code(line)

    def _begin(self, kind: str, line: str, indent: int, marker: str = "") -> None:
        self.finish()
        self.kind, self.lines, self.indent, self.marker = kind, [line], indent, marker

    def finish(self) -> None:
        """Close the block that is open."""
        if self.kind == "code":
            self.blocks.append(Block("code", _dedented(self.lines), self.element))
        elif self.kind == "item":
            self.blocks.append(
                Block("item", _flowing(self.lines), self.element, marker=_marker(self.marker), group=self.group)
            )
        elif self.lines:
            self.blocks.append(Block("text", _flowing(self.lines), self.element))
        self.kind, self.lines = "", []


def _underlines(line: str, heading: str) -> bool:
    return not heading[0].isspace() and _UNDERLINE.fullmatch(line) is not None and abs(len(line) - len(heading)) <= 2


def _flowing(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def _marker(marker: str) -> str:
    return "- " if marker[0] in "*-•" else marker


def _looks_like_code(line: str) -> bool:
    return len(_CODE_SIGNS.findall(line)) * 2 > len(_WORD.findall(line))


def _dedented(lines: list[str]) -> str:
    while lines and not lines[-1]:
        lines.pop()
    margin = min(len(line) - len(line.lstrip()) for line in lines if line)
    return "\n".join(line[margin:] for line in lines)
