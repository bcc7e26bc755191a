"""Blocks as Markdown."""

import re
from collections.abc import Iterable

from tasks.extraction.blocks import Block

_LOOKS_LIKE_MARKUP = re.compile(r"(?m)^(?=#{1,6} |```|~~~|\|)")
_BACKTICKS = re.compile(r"`+")


def render(blocks: Iterable[Block]) -> str:
    """Markdown with blocks set apart by blank lines; items of one list and rows of one table stand together."""
    parts: list[str] = []
    before: Block | None = None
    for block in blocks:
        if before is not None:
            parts.append("\n" if _stand_together(before, block) else "\n\n")
        parts.append(_indented(_body(block, before), block))
        before = block
    return "".join(parts)


def _stand_together(before: Block, block: Block) -> bool:
    return block.kind in ("item", "row") and block.kind == before.kind and block.group == before.group


def _indented(body: str, block: Block) -> str:
    first = " " * block.indent + block.marker
    rest = "\n" + " " * len(first)
    return first + rest.join(body.split("\n"))


def _body(block: Block, before: Block | None) -> str:
    if block.kind == "heading":
        return f"{'#' * block.level} {' '.join(block.text.split())}"
    if block.kind == "code":
        return _fenced(block.text)
    if block.kind == "row":
        return _row(block, is_header=before is None or not _stand_together(before, block))
    return _LOOKS_LIKE_MARKUP.sub(r"\\", block.text)


def _fenced(code: str) -> str:
    longest = max((len(run) for run in _BACKTICKS.findall(code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{code}\n{fence}"


def _row(block: Block, *, is_header: bool) -> str:
    cells = " | ".join(cell.replace("|", "\\|") for cell in block.cells)
    rule = "\n|" + " --- |" * len(block.cells) if is_header else ""
    return f"| {cells} |{rule}"
