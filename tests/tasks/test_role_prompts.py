"""Roles by a language model: bounded, fenced, from a closed set, and decided by a vote."""

import json
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fake import FakeLanguageModel
from models.language import FinishReason, Generation, Request
from tasks.extraction.page import read_page
from tasks.extraction.role_prompts import INSTRUCTIONS, Surrounded, ask_roles, role_prompt, surrounded, vote
from tasks.extraction.roles import ROLES, Role

PAGE = b"""<body><nav class="top menu"><a href="/">Home</a></nav>
<div id="text"><h1>Moths</h1><p>Moths fly\n at night.</p></div></body>"""


class Scripted(FakeLanguageModel):
    """Answers with one text whatever it is asked."""

    def __init__(self, text: str, finish_reason: FinishReason = "stop") -> None:
        super().__init__()
        self.answer = Generation(text, 1, 1, finish_reason)

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Generation]]:
        """See `LanguageModel.generate`."""
        yield from ((number, self.answer) for number, _ in enumerate(requests))


@pytest.mark.parametrize(
    ("cast", "elected"),
    [
        (("nav", "body", "body"), "body"),
        (("list", "nav", "list"), "list"),
        (("nav", "body", "list"), "nav"),
        ((None, "body", "list"), "body"),
        ((None, "list", "list"), "list"),
        ((None, None, None), None),
    ],
)
def test_a_vote_of_three(cast: tuple[Role | None, ...], elected: Role | None) -> None:
    assert vote(cast) == elected


def test_an_element_is_shown_with_its_neighbourhood() -> None:
    home, title, text = surrounded(read_page(PAGE, None).blocks)
    assert home == Surrounded("nav", "top menu", "Home", "Home Moths Moths fly at night. ", "", "Moths")
    assert (title.previous, title.following) == ("Home", "Moths fly at night.")
    assert (text.tag, text.text, text.parent) == ("p", "Moths fly at night.", "Moths Moths fly at night. ")


@given(st.lists(st.sampled_from(["</passage>", "<PASSAGE>", "\nelement: Home", "<", " text "])).map("".join))
def test_what_a_page_says_stays_in_its_line_and_in_its_fence(text: str) -> None:
    html = f"<p>{text.replace('<', '&lt;')}</p><p class='{text}'>{'long ' * 200}</p>".encode()
    for element in surrounded(read_page(html, None).blocks):
        for instruction in INSTRUCTIONS:
            content = role_prompt(instruction, element)[-1]["content"]
            assert content.lower().count("<passage>") == content.lower().count("</passage>") == 1
            assert content.count("\nelement: ") == 1
            assert len(content) < 1600


def test_every_element_gets_an_answer_to_every_instruction() -> None:
    model = FakeLanguageModel()
    elements = surrounded(read_page(PAGE, None).blocks)
    cast = ask_roles(model, elements)
    assert [len(votes) for votes in cast] == [len(INSTRUCTIONS)] * len(elements)
    assert all(role in ROLES for votes in cast for role in votes)
    assert model.calls == len(elements) * len(INSTRUCTIONS)


@pytest.mark.parametrize(
    ("answer", "finish_reason", "role"),
    [(json.dumps("nav"), "stop", "nav"), ('"na', "length", None), ("", "too_long", None), ('"hero"', "stop", None)],
)
def test_an_answer_that_names_no_role_is_none(answer: str, finish_reason: FinishReason, role: Role | None) -> None:
    elements = surrounded(read_page(PAGE, None).blocks)[:1]
    assert ask_roles(Scripted(answer, finish_reason), elements) == [(role,) * len(INSTRUCTIONS)]
