"""One pass over a document tree that turns it into blocks. No recursion: pages nest as deep as they like."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from selectolax.lexbor import LexborNode

from tasks.extraction.blocks import Block, Element, Kind
from tasks.extraction.plain_text import reads_as_prose, structure

_BREAK = "\v"
_SPACES = re.compile(r"[ \t\n\r\f]+")
_SPACED_BREAK = re.compile(r" ?\v ?")
_PARAGRAPHS = re.compile(r"\v[\v\xa0 ]*\v")
_HEADING_CLASS = re.compile(r"(?:^|[\s_-])(?:title|heading)(?:\s|$)")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden")
_LONGEST_HEADING = 200
_LONGEST_LABEL = 60
_WIDEST_TABLE = 50


def walk(root: LexborNode) -> list[Block]:
    """Blocks below a node, in reading order."""
    walker = _Walker(root)
    enters, leaves, add_text = walker.enters, walker.leaves, walker.add_text
    open_nodes: list[tuple[LexborNode, str]] = []
    node = root.child
    while node is not None:
        tag = node.tag or ""
        if tag == "-text":
            add_text(node.text_content or "")
        else:
            enter = enters.get(tag)
            looked = enter is None or enter(node, tag)
            child = node.child if looked else None
            if child is not None:
                open_nodes.append((node, tag))
                node = child
                continue
            if looked and tag in leaves:
                leaves[tag](node, tag)
        following = node.next
        while following is None and open_nodes:
            node, tag = open_nodes.pop()
            if tag in leaves:
                leaves[tag](node, tag)
            following = node.next
        node = following
    walker.flush()
    return walker.blocks


@dataclass(slots=True)
class _Table:
    first_block: int
    group: int
    cell_starts: list[tuple[int, int]] = field(default_factory=list)
    row: int = -1


@dataclass(slots=True)
class _List:
    group: int
    number: int | None
    indent: int


class _Walker:
    """Collects text until a block ends. `enters` and `leaves` say what an element's tags mean.

    An `enter` returns whether the inside of the element is looked at.
    """

    def __init__(self, root: LexborNode) -> None:
        self.blocks: list[Block] = []
        self._element = Element("body", None, 0, _names(root))
        self._text: list[str] = []
        self._link_start: int | None = None
        self._collected = 0
        self._link_characters = 0
        self._tables: list[_Table] = []
        self._lists: list[_List] = []
        self._groups = 0
        self._marker = ""
        self._indent = 0
        self._section_level = 0
        self._term_depth = 0
        self._last_term: Block | None = None
        self._described_term: Block | None = None
        self.enters, self.leaves = self._meanings()

    def _meanings(self) -> tuple[dict[str, "_Enter"], dict[str, "_Leave"]]:
        enters: dict[str, _Enter] = dict.fromkeys(_SKIPPED.split(), _skip)
        leaves: dict[str, _Leave] = {}
        for tag in _BLOCKS.split():
            enters[tag], leaves[tag] = self._enter_block, self._leave_block
        for tag in _LISTS.split():
            enters[tag], leaves[tag] = self._enter_list, self._leave_list
        for tag in _CELLS.split():
            enters[tag], leaves[tag] = self._enter_cell, self._leave_cell
        for tag in _HEADINGS:
            enters[tag], leaves[tag] = self._enter_block, self._leave_heading
        enters |= {"br": self._enter_break, "a": self._enter_link, "pre": self._enter_preformatted}
        enters |= {"li": self._enter_item, "dt": self._enter_term, "dd": self._enter_description}
        enters |= {"table": self._enter_table, "tr": self._enter_row}
        leaves |= {"a": self._leave_link, "li": self._leave_item, "dt": self._leave_term, "dd": self._leave_block}
        leaves |= {"table": self._leave_table, "tr": self._leave_block}
        return enters, leaves

    def add_text(self, text: str) -> None:
        """Add to the paragraph that is being collected."""
        self._collected += len(text)
        if self._text or not text.isspace():
            self._text.append(text)

    def _enter_break(self, _node: LexborNode, _tag: str) -> bool:
        self._text.append(_BREAK)
        return False

    def _enter_link(self, _node: LexborNode, _tag: str) -> bool:
        if self._link_start is None:
            self._link_start = self._collected
        return True

    def _leave_link(self, _node: LexborNode, _tag: str) -> None:
        if self._link_start is not None:
            self._link_characters += self._collected - self._link_start
        self._link_start = None

    def _enter_block(self, node: LexborNode, tag: str) -> bool:
        if self._text:
            self.flush()
        self._element = Element(tag, self._element, self._element.depth + 1, _names(node))
        return True

    def _leave_block(self, _node: LexborNode, _tag: str) -> None:
        if self._text:
            self.flush()
        self._element = self._element.parent or self._element

    # Lists

    def _enter_list(self, node: LexborNode, tag: str) -> bool:
        self._enter_block(node, tag)
        if not self._lists:
            self._groups += 1
        self._lists.append(_List(self._groups, 1 if tag == "ol" else None, self._indent))
        if tag == "dl":
            self._continue_list()
        return True

    def _continue_list(self) -> None:
        """Pages that give every term a `<dl>` of its own mean one list."""
        before = self.blocks[-1] if self.blocks else None
        if before and before.kind == "item" and before.group and len(self._lists) == 1:
            self._lists[-1].group = before.group

    def _leave_list(self, node: LexborNode, tag: str) -> None:
        self._leave_block(node, tag)
        self._indent = self._lists.pop().indent

    def _enter_item(self, node: LexborNode, tag: str) -> bool:
        self._enter_block(node, tag)
        self._marker = "- "
        if self._lists:
            items = self._lists[-1]
            self._indent = items.indent
            if items.number is not None:
                self._marker = f"{items.number}. "
                items.number += 1
        return True

    def _leave_item(self, node: LexborNode, tag: str) -> None:
        self._leave_block(node, tag)
        self._marker = ""
        if self._lists:
            self._indent = self._lists[-1].indent

    def _enter_term(self, node: LexborNode, tag: str) -> bool:
        self._enter_block(node, tag)
        if self._lists:
            self._indent = self._lists[-1].indent
            self._marker = "" if _is_target(node) else "- "
        return True

    def _leave_term(self, node: LexborNode, tag: str) -> None:
        text = self._take_line() if self._lists and _is_target(node) else ""
        if text:
            self._promote_label()
            level = min(6, self._section_level + self._term_depth + len(self._lists))
            self._add(Block("heading", text, self._element, level=level))
        self._leave_block(node, tag)
        self._last_term = self.blocks[-1] if self.blocks and self.blocks[-1].marker else None

    def _promote_label(self) -> None:
        """A line such as "Methods defined here:" right above documented terms is their heading."""
        before = self.blocks[-1] if self.blocks else None
        if before and before.kind == "text" and before.text.endswith(":") and len(before.text) <= _LONGEST_LABEL:
            before.kind = "heading"
            before.text = before.text.rstrip(":")
            before.level = min(6, self._section_level + 1)
            self._term_depth = 1

    def _enter_description(self, node: LexborNode, tag: str) -> bool:
        self._described_term, self._last_term = self._last_term, None
        return self._enter_block(node, tag)

    def _describes_term(self, text: str) -> bool:
        term, self._described_term = self._described_term, None
        if term is None or self.blocks[-1] is not term or self._marker:
            return False
        term.text = f"{term.text.rstrip(':')}: {text}"
        term.link_characters += self._take_links()
        return True

    # Headings

    def _leave_heading(self, node: LexborNode, tag: str) -> None:
        self._add_heading(_HEADINGS[tag])
        self._leave_block(node, tag)

    def _add_heading(self, level: int) -> None:
        text = self._take_line()
        if text:
            self._add(Block("heading", text, self._element, level=level))
            self._section_level = level
            self._term_depth = 0

    # Tables

    def _enter_table(self, node: LexborNode, tag: str) -> bool:
        self._enter_block(node, tag)
        self._groups += 1
        self._tables.append(_Table(len(self.blocks), self._groups))
        return True

    def _enter_row(self, node: LexborNode, tag: str) -> bool:
        if self._tables:
            self._tables[-1].row += 1
        return self._enter_block(node, tag)

    def _enter_cell(self, node: LexborNode, tag: str) -> bool:
        self._enter_block(node, tag)
        if self._tables:
            self._tables[-1].cell_starts.append((self._tables[-1].row, len(self.blocks)))
        return True

    def _leave_cell(self, node: LexborNode, tag: str) -> None:
        is_heading = self._text and self._tables and _HEADING_CLASS.search(self._element.names)
        if is_heading and len("".join(self._text).strip()) <= _LONGEST_HEADING:
            self._add_heading(min(6, len(self._tables) + 1) if self._section_level else 1)
        self._leave_block(node, tag)

    def _leave_table(self, node: LexborNode, tag: str) -> None:
        self._leave_block(node, tag)
        table = self._tables.pop()
        rows = _data_rows(table, self.blocks)
        if rows:
            element = self.blocks[table.first_block].element
            links = sum(block.link_characters for block in self.blocks[table.first_block :]) // len(rows)
            width = min(_WIDEST_TABLE, max(map(len, rows)))
            cells = [tuple((row + [""] * width)[:width]) for row in rows]
            self.blocks[table.first_block :] = [
                Block("row", " ".join(row), element, cells=row, group=table.group, link_characters=links)
                for row in cells
            ]

    # Text

    def _enter_preformatted(self, node: LexborNode, tag: str) -> bool:
        self._enter_block(node, tag)
        text = node.text().replace("\xa0", " ").strip("\n")
        if text.strip():
            if node.css_first("code") is None and reads_as_prose(text):
                self._add_structured(text)
            else:
                self._add(Block("code", _cut_margin(text), self._element, indent=self._indent))
        self._leave_block(node, tag)
        return False

    def _add_structured(self, text: str) -> None:
        self._groups += 1
        added = structure(text, self._element, self._section_level, self._groups)
        if added and added[0].kind == "text" and self._describes_term(added[0].text):
            added = added[1:]
        for block in added:
            block.indent += self._indent
        self.blocks += added

    def flush(self) -> None:
        """End the paragraph that is being collected."""
        raw = "".join(self._text)
        self._text.clear()
        if not raw or raw.isspace():
            return
        if _BREAK not in raw:
            self._add_paragraph(" ".join(raw.split()))
        elif raw.count("\xa0") > raw.count(" "):
            lines = _SPACED_BREAK.sub("\n", _SPACES.sub(" ", raw)).replace("\xa0", " ")
            self._add_structured(lines.strip("\n"))
        else:
            for part in _PARAGRAPHS.split(_SPACED_BREAK.sub(_BREAK, _SPACES.sub(" ", raw))):
                self._add_paragraph(_lines(part))
        self._take_links()

    def _add_paragraph(self, text: str) -> None:
        if not text or (self._described_term and self._describes_term(text)):
            return
        kind: Kind = "item" if self._marker else "text"
        group = self._lists[-1].group if self._lists else 0
        self._add(Block(kind, text, self._element, marker=self._marker, indent=self._indent, group=group))
        self._indent += len(self._marker)
        self._marker = ""

    def _add(self, block: Block) -> None:
        block.link_characters = min(self._take_links(), len(block.text))
        self.blocks.append(block)

    def _take_line(self) -> str:
        text = " ".join("".join(self._text).split())
        self._text.clear()
        return text

    def _take_links(self) -> int:
        links = self._link_characters
        if self._link_start is not None:
            links += self._collected - self._link_start
            self._link_start = self._collected
        self._link_characters = 0
        return links


_Enter = Callable[[LexborNode, str], bool]
_Leave = Callable[[LexborNode, str], None]

_SKIPPED = """
    head script style noscript template svg math iframe object embed applet canvas audio video map area -comment
    button input select option optgroup textarea datalist meter progress dialog img
"""
_BLOCKS = """
    address article aside blockquote caption center details div fieldset figcaption figure footer form
    header hgroup hr legend label main nav p search section summary tbody tfoot thead
"""
_LISTS = "ul ol menu dir dl"
_CELLS = "td th"
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def _skip(_node: LexborNode, _tag: str) -> bool:
    return False


def _names(node: LexborNode) -> str:
    attributes = node.attributes
    if not attributes:
        return ""
    names = [value for name in ("class", "id", "role", "itemprop") if (value := attributes.get(name))]
    if "hidden" in attributes or _HIDDEN_STYLE.search(attributes.get("style") or ""):
        names.append("hidden")
    return " ".join(names)


def _lines(text: str) -> str:
    return "\n".join(line for part in text.split(_BREAK) if (line := " ".join(part.split())))


def _is_target(term: LexborNode) -> bool:
    """Whether links can point to a `<dt>`, as they do to documented functions but not to glossary entries."""
    if term.attributes.get("id"):
        return True
    first = term.child
    while first is not None and first.tag == "-text" and not (first.text_content or "").strip():
        first = first.next
    return first is not None and first.tag == "a" and bool(first.attributes.get("name") or first.attributes.get("id"))


def _data_rows(table: _Table, blocks: list[Block]) -> list[list[str]]:
    """Cells by row if the table holds data; nothing if it only lays out the page."""
    rows: dict[int, list[str]] = {}
    starts = [start for _, start in table.cell_starts]
    for (row, start), end in zip(table.cell_starts, [*starts, len(blocks)][1:], strict=True):
        inside = blocks[start:end]
        if len(inside) > 1 or any(block.kind != "text" for block in inside):
            return []
        rows.setdefault(row, []).append(inside[0].text.replace("\n", " ") if inside else "")
    full = [row for row in rows.values() if sum(map(bool, row)) >= 2]
    return [row for row in rows.values() if any(row)] if len(full) >= 2 else []


def _cut_margin(code: str) -> str:
    lines = [line.rstrip() for line in code.expandtabs(4).splitlines()]
    margin = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return "\n".join(line[margin:] for line in lines).strip("\n")
