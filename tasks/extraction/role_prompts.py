"""Roles by a language model: it is shown an element with its neighbourhood, and names one of the known roles.

The element's role is asked for with several prompts, and they vote (Ahluwalia and Wani, arXiv 2406.08246, study
language models on this task; prompts, slots and vote are ours).
"""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from models.language import Generation, LanguageModel, Message, Request, Sampling, answers
from schemas.hashing import normalise
from tasks.extraction.blocks import Block, elements_around
from tasks.extraction.roles import ROLES, Role
from tasks.prompts import fence

SCHEMA = {"type": "string", "enum": list(ROLES)}
SAMPLING = Sampling(max_tokens=16)
LONGEST_TEXT, LONGEST_NEIGHBOUR, LONGEST_ATTRIBUTES = 300, 120, 80

_SYSTEM = "You name the role of elements of web pages."
_MEANINGS = (
    "title: the page's main heading; nav: links to other pages; body: paragraphs and headings of the main text; "
    "table, code, list, caption: such parts of the main text; boilerplate: advertising, sharing, legal and other "
    "repeated text; footer: the page's last lines; form: fields, labels and buttons"
)
INSTRUCTIONS = (
    f"Which role does the element's own text play on its page? One of: {', '.join(ROLES)}.",
    f"These roles exist. {_MEANINGS}. Name the role of the element.",
    "Would a reader who came for the page's main text want to read this element? If not, it is "
    "nav, boilerplate, footer or form. If so, it is title, body, table, code, list or caption. Name its role.",
)
"""What is asked about an element, in the order in which the answers have priority."""


@dataclass(frozen=True)
class Surrounded:
    """An element as a model is shown it; every text is on one line and bounded.

    Attributes:
        attributes: its class, id, role and itemprop.
        parent: how the text of the element around it begins.
        previous: the text before it; empty at the page's begin.
        following: the text after it; empty at the page's end.
    """

    tag: str
    attributes: str
    text: str
    parent: str
    previous: str
    following: str


def surrounded(blocks: Sequence[Block]) -> list[Surrounded]:
    """Every block of a page with its neighbourhood.

    Args:
        blocks: all of the page's, in order.
    """
    texts = [_line(block.text, LONGEST_TEXT) for block in blocks]
    inside = _openings(blocks)
    return [
        Surrounded(
            tag=block.element.tag,
            attributes=_line(block.element.names, LONGEST_ATTRIBUTES),
            text=text,
            parent=inside[id(block.element.parent or block.element)][:LONGEST_NEIGHBOUR],
            previous=previous[:LONGEST_NEIGHBOUR],
            following=following[:LONGEST_NEIGHBOUR],
        )
        for block, text, previous, following in zip(blocks, texts, ["", *texts], [*texts[1:], ""], strict=False)
    ]


def role_prompt(instruction: str, element: Surrounded) -> list[Message]:
    """A conversation that asks for one role; what the page says stands between tags that it cannot close."""
    shown = (
        f"tag: {element.tag}\nattributes: {element.attributes}\nparent: {element.parent}\n"
        f"previous: {element.previous}\nelement: {element.text}\nnext: {element.following}"
    )
    content = f"{fence((), shown)}\n\n{instruction}"
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": content}]


def ask_roles(model: LanguageModel, elements: Sequence[Surrounded]) -> list[tuple[Role | None, ...]]:
    """What the model answers to each of the instructions, by element; None where it gave no role.

    Raises:
        ModelError: the model does not answer.
    """
    prompts = [role_prompt(instruction, element) for element in elements for instruction in INSTRUCTIONS]
    answered = iter(answers(model, [Request(prompt, SAMPLING, SCHEMA) for prompt in prompts]))
    return [tuple(_read(next(answered)) for _ in INSTRUCTIONS) for _ in elements]


def vote(cast: Sequence[Role | None]) -> Role | None:
    """The role with the most votes; of several with as many, the one whose first vote stands first.

    >>> vote(["nav", "body", "body"]), vote(["nav", "body", "list"])
    ('body', 'nav')
    """
    votes = Counter(role for role in cast if role is not None)
    # Counter keeps the order of first votes, and so does most_common among equals.
    return votes.most_common(1)[0][0] if votes else None


def _read(generation: Generation) -> Role | None:
    """The role, or None where the output was cut off or never begun."""
    if generation.finish_reason != "stop":
        return None
    answer = json.loads(generation.text)
    return next((role for role in ROLES if role == answer), None)


def _line(text: str, longest: int) -> str:
    return normalise(text)[:longest]


def _openings(blocks: Sequence[Block]) -> dict[int, str]:
    """How the text inside of every element begins, by the element's identity."""
    openings: dict[int, str] = defaultdict(str)
    for block in blocks:
        for element in elements_around(block):
            if len(openings[id(element)]) < LONGEST_NEIGHBOUR:
                openings[id(element)] += _line(block.text, LONGEST_NEIGHBOUR) + " "
    return openings
