"""Blocks: a page as the flat sequence of passages that a reader sees."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["heading", "text", "item", "row", "code"]


@dataclass(slots=True, eq=False)
class Element:
    """An element that sets its content apart from what is around it, such as `<div>`.

    Attributes:
        names: its class, id, role and itemprop, in lower case.
    """

    tag: str
    parent: "Element | None"
    depth: int
    names: str


@dataclass(slots=True, eq=False)
class Block:
    """One heading, paragraph, list item, table row or piece of code.

    Attributes:
        text: what it says, white space squeezed; lines are kept in code and where the page breaks them.
        element: the innermost element around it.
        level: of a heading, 1 to 6.
        marker: what a list item begins with, such as "- " or "3. ".
        indent: columns that the lists around it move it to the right.
        cells: of a row.
        group: number of the list or table it belongs to; 0 outside of both.
        link_characters: how much of the text is links.
    """

    kind: Kind
    text: str
    element: Element
    level: int = 0
    marker: str = ""
    indent: int = 0
    cells: tuple[str, ...] = ()
    group: int = 0
    link_characters: int = 0


def elements_around(block: Block) -> Iterator[Element]:
    """The elements that a block is in, from the innermost outwards."""
    element: Element | None = block.element
    while element is not None:
        yield element
        element = element.parent
