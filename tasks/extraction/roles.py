"""What part each block of a page plays, by rules over its elements and the classifier's verdict."""

from collections.abc import Sequence
from typing import Literal, get_args

from tasks.extraction.blocks import Block, elements_around
from tasks.extraction.features import is_link
from tasks.extraction.page import Page

Role = Literal["title", "nav", "body", "table", "code", "list", "caption", "boilerplate", "footer", "form"]
ROLES: tuple[Role, ...] = get_args(Role)
CONTENT_ROLES: frozenset[Role] = frozenset(("title", "body", "table", "code", "list", "caption"))

_ROLE_OF_ELEMENT: dict[str, Role] = {"nav": "nav", "menu": "nav", "footer": "footer", "form": "form", "label": "form"}
_ROLE_OF_KIND: dict[str, Role] = {"row": "table", "code": "code", "item": "list"}
_CAPTIONS = frozenset(("figcaption", "caption"))


def roles(page: Page, content: Sequence[Block]) -> list[Role]:
    """The role of every block.

    Args:
        content: blocks that are content, from `main_content`.
    """
    kept = {id(block) for block in content}
    title = next((block for block in content if block.kind == "heading"), None)
    return [_content_role(block, title) if id(block) in kept else _outer_role(block) for block in page.blocks]


def _content_role(block: Block, title: Block | None) -> Role:
    if block is title:
        return "title"
    if any(element.tag in _CAPTIONS for element in elements_around(block)):
        return "caption"
    return _ROLE_OF_KIND.get(block.kind, "body")


def _outer_role(block: Block) -> Role:
    tags = (element.tag for element in elements_around(block))
    named = next((_ROLE_OF_ELEMENT[tag] for tag in tags if tag in _ROLE_OF_ELEMENT), None)
    return named or ("nav" if is_link(block) else "boilerplate")
