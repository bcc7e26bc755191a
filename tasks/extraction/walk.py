"""One pass over a document tree that turns it into blocks. No recursion: pages nest as deep as they like."""

import re
from dataclasses import dataclass, field

from selectolax.lexbor import LexborNode

from tasks.extraction.blocks import Block
from tasks.extraction.plain_text import reads_as_prose, structure

_SKIPPED_NAMES = """
    head script style noscript template svg math iframe object embed applet canvas audio video map area -comment
    button input select option optgroup textarea datalist label legend meter progress nav footer dialog
"""
SKIPPED = frozenset(_SKIPPED_NAMES.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset(("ul", "ol", "menu", "dir"))
_BLOCK_NAMES = """
    address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure form
    header hgroup hr html legend main p section summary tbody tfoot thead tr search
"""
_BLOCKS = _LISTS | frozenset(_BLOCK_NAMES.split())
_HEADING_CLASS = re.compile(r"(?:^|[\s_-])(?:title|heading)(?:\s|$)")
_BREAK = "\v"
_SPACES = re.compile(r"[ \t\n\r\f]+")
_SPACED_BREAK = re.compile(r" ?\v ?")
_PARAGRAPHS = re.compile(r"\v[\v\xa0 ]*\v")
_LONGEST_HEADING = 200
_LONGEST_LABEL = 60
_WIDEST_TABLE = 50


@dataclass
class _Table:
    first_block: int
    group: int
    cell_starts: list[tuple[int, int]] = field(default_factory=list)
    row: int = -1


@dataclass
class _List:
    group: int
    number: int | None
    indent: int


class Walker:
    """Turns a tree into blocks; use `walk`."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._text: list[str] = []
        self._link_depth = 0
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

    def enter(self, node: LexborNode, tag: str) -> bool:
        """Begin an element; false when what is in it is not looked at."""
        if tag == "-text":
            self._add_text(node.text_content or "")
            return False
        if tag in SKIPPED:
            return False
        if tag == "pre":
            self._add_preformatted(node)
            return False
        self._enter_element(node, tag)
        return True

    def _enter_element(self, node: LexborNode, tag: str) -> None:
        if tag == "br":
            self._text.append(_BREAK)
        elif tag == "a":
            self._link_depth += 1
        elif tag in _BLOCKS or tag in _HEADINGS:
            self.flush()
            self._enter_list_part(node, tag)
        elif tag == "li":
            self.flush()
            self._enter_item()
        elif tag == "table":
            self.flush()
            self._groups += 1
            self._tables.append(_Table(len(self.blocks), self._groups))
        elif tag in ("td", "th") and self._tables:
            self.flush()
            self._tables[-1].cell_starts.append((self._tables[-1].row, len(self.blocks)))

    def _enter_list_part(self, node: LexborNode, tag: str) -> None:
        if tag == "tr" and self._tables:
            self._tables[-1].row += 1
        elif tag in _LISTS:
            self._enter_list(1 if tag == "ol" else None)
        elif tag == "dl":
            self._enter_list(None)
            self._continue_list()
        elif tag == "dt":
            self._enter_term(node)
        elif tag == "dd":
            self._described_term, self._last_term = self._last_term, None

    def _enter_list(self, number: int | None) -> None:
        if not self._lists:
            self._groups += 1
        self._lists.append(_List(self._groups, number, self._indent))

    def _continue_list(self) -> None:
        """Pages that give every term a `<dl>` of its own mean one list."""
        before = self.blocks[-1] if self.blocks else None
        if before and before.kind == "item" and before.group and len(self._lists) == 1:
            self._lists[-1].group = before.group

    def _enter_item(self) -> None:
        if not self._lists:
            self._marker = "- "
            return
        items = self._lists[-1]
        self._marker = "- " if items.number is None else f"{items.number}. "
        if items.number is not None:
            items.number += 1
        self._indent = items.indent

    def _enter_term(self, node: LexborNode) -> None:
        if not self._lists:
            return
        self._indent = self._lists[-1].indent
        self._marker = "" if _is_target(node) else "- "

    def leave(self, node: LexborNode, tag: str) -> None:
        """End an element whose inside was looked at."""
        if tag == "a":
            self._link_depth = max(0, self._link_depth - 1)
        elif tag in _HEADINGS:
            self._end_heading(_HEADINGS[tag])
        elif tag == "dt":
            self._end_term(node)
        elif tag == "li":
            self._end_item()
        elif tag in ("td", "th"):
            self._end_cell(node)
        elif tag == "table" and self._tables:
            self.flush()
            self._end_table(self._tables.pop())
        elif tag in _BLOCKS:
            self.flush()
            if (tag in _LISTS or tag == "dl") and self._lists:
                self._indent = self._lists.pop().indent

    def _end_item(self) -> None:
        self.flush()
        self._marker = ""
        if self._lists:
            self._indent = self._lists[-1].indent

    def _end_heading(self, level: int) -> None:
        text = self._take_text().replace("\n", " ")
        if text:
            self._add_heading(text, level)

    def _add_heading(self, text: str, level: int) -> None:
        self.blocks.append(Block("heading", text, level=min(6, level), link_characters=self._take_links()))
        self._section_level = min(6, level)
        self._term_depth = 0

    def _end_term(self, node: LexborNode) -> None:
        if not self._lists or not _is_target(node):
            self.flush()
            self._last_term = self.blocks[-1] if self.blocks and self.blocks[-1].marker else None
            return
        text = self._take_text().replace("\n", " ")
        if text:
            self._promote_label()
            level = min(6, self._section_level + self._term_depth + len(self._lists))
            self.blocks.append(Block("heading", text, level=level, link_characters=self._take_links()))

    def _promote_label(self) -> None:
        """ "Methods defined here:" right above documented terms is their heading."""
        before = self.blocks[-1] if self.blocks else None
        if before and before.kind == "text" and before.text.endswith(":") and len(before.text) <= _LONGEST_LABEL:
            before.kind = "heading"
            before.text = before.text.rstrip(":")
            before.level = min(6, self._section_level + 1)
            self._term_depth = 1

    def _end_cell(self, node: LexborNode) -> None:
        marked = _HEADING_CLASS.search(node.attributes.get("class") or "")
        text = "".join(self._text) if marked else ""
        if not marked or not self._tables or not text.strip() or len(text) > _LONGEST_HEADING:
            self.flush()
            return
        level = len(self._tables) + 1 if self._section_level else 1
        self._add_heading(" ".join(self._take_text().split()), level)

    def _end_table(self, table: _Table) -> None:
        rows = self._rows(table)
        if rows is None:
            return
        width = min(_WIDEST_TABLE, max(map(len, rows)))
        links = sum(block.link_characters for block in self.blocks[table.first_block :]) // len(rows)
        del self.blocks[table.first_block :]
        for row in rows:
            cells = tuple((row + [""] * width)[:width])
            block = Block("row", " ".join(cells), cells=cells, group=table.group, link_characters=links)
            self.blocks.append(block)

    def _rows(self, table: _Table) -> list[list[str]] | None:
        """Cells by row if the table holds data; none if it only lays out the page."""
        rows: dict[int, list[str]] = {}
        starts = [start for _, start in table.cell_starts]
        for (row, start), end in zip(table.cell_starts, [*starts, len(self.blocks)][1:], strict=True):
            inside = self.blocks[start:end]
            if len(inside) > 1 or any(block.kind != "text" for block in inside):
                return None
            rows.setdefault(row, []).append(inside[0].text.replace("\n", " ") if inside else "")
        full = [row for row in rows.values() if sum(map(bool, row)) >= 2]
        return [row for row in rows.values() if any(row)] if len(full) >= 2 else None

    def _add_text(self, text: str) -> None:
        self._text.append(text)
        if self._link_depth:
            self._link_characters += len(text)

    def _add_preformatted(self, node: LexborNode) -> None:
        self.flush()
        text = node.text().replace("\xa0", " ").strip("\n")
        if not text.strip():
            return
        if node.css_first("code") is None and reads_as_prose(text):
            self._add_structured(text)
        else:
            self.blocks.append(Block("code", _cut_margin(text), indent=self._indent))

    def _add_structured(self, text: str) -> None:
        self._groups += 1
        added = structure(text, self._section_level, self._groups)
        if added and added[0].kind == "text" and self._describes_term(added[0].text, 0):
            added = added[1:]
        for block in added:
            block.indent += self._indent
        self.blocks += added

    def flush(self) -> None:
        """End the paragraph that is being collected."""
        raw = "".join(self._text)
        if raw.count("\xa0") > raw.count(" ") and _BREAK in raw:
            self._text.clear()
            self._take_links()
            lines = _SPACED_BREAK.sub("\n", _SPACES.sub(" ", raw)).replace("\xa0", " ")
            self._add_structured(lines.strip("\n"))
            return
        links = self._link_characters
        paragraphs = [text for part in _PARAGRAPHS.split(self._take_text(raw_breaks=True)) if (text := _lines(part))]
        for text in paragraphs:
            self._add_paragraph(text, links // len(paragraphs))
        self._take_links()

    def _add_paragraph(self, text: str, links: int) -> None:
        if self._describes_term(text, links):
            return
        block = Block("item" if self._marker else "text", text, marker=self._marker, indent=self._indent)
        block.group = self._lists[-1].group if self._lists else 0
        block.link_characters = links
        self.blocks.append(block)
        self._indent += len(self._marker)
        self._marker = ""

    def _describes_term(self, text: str, links: int) -> bool:
        term, self._described_term = self._described_term, None
        if term is None or self.blocks[-1] is not term or self._marker:
            return False
        term.text = f"{term.text.rstrip(':')}: {text}"
        term.link_characters += links
        return True

    def _take_text(self, *, raw_breaks: bool = False) -> str:
        raw = "".join(self._text)
        self._text.clear()
        text = _SPACED_BREAK.sub(_BREAK, _SPACES.sub(" ", raw))
        return text if raw_breaks else _lines(text)

    def _take_links(self) -> int:
        links, self._link_characters = self._link_characters, 0
        return links


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


def _cut_margin(code: str) -> str:
    lines = [line.rstrip() for line in code.expandtabs(4).splitlines()]
    margin = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return "\n".join(line[margin:] for line in lines).strip("\n")


def walk(root: LexborNode) -> list[Block]:
    """Blocks below a node, in reading order."""
    walker = Walker()
    node: LexborNode | None = root
    while node is not None:
        tag = node.tag or ""
        inside = walker.enter(node, tag) and node.child
        if inside:
            node = inside
            continue
        if tag not in SKIPPED and tag not in ("-text", "pre"):
            walker.leave(node, tag)
        node = _after(node, root, walker)
    walker.flush()
    return walker.blocks


def _after(node: LexborNode, root: LexborNode, walker: Walker) -> LexborNode | None:
    """The next node that was not looked at yet, leaving the elements that end before it."""
    while node.mem_id != root.mem_id:  # == would compare their HTML
        if node.next is not None:
            return node.next
        parent = node.parent
        if parent is None:
            return None
        walker.leave(parent, parent.tag or "")
        node = parent
    return None
