"""Prompts hold sources as data."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tasks.prompts import build_prompt, fence, fixed_text
from tasks.recipes import load_recipe

SOURCE = {"heading_path": ["bisect", "Functions"], "text": "Locate the insertion point."}


def test_the_source_stands_first_in_the_last_turn() -> None:
    prompt = build_prompt(load_recipe("summary"), SOURCE)
    assert [message["role"] for message in prompt] == ["system", *["user", "assistant"] * 2, "user"]
    assert prompt[-1]["content"].startswith(
        "<passage>\nbisect > Functions\nLocate the insertion point.\n</passage>\n\n"
    )


def test_demonstrations_look_like_the_source_and_stand_before_it() -> None:
    recipe = load_recipe("query")
    prompt = build_prompt(recipe, SOURCE)
    assert [message["role"] for message in prompt] == ["system", *["user", "assistant"] * 3, "user"]
    assert [turn["content"] for turn in prompt if turn["role"] == "assistant"] == [
        shown.answer for shown in recipe.prompt.demonstrations
    ]
    other = build_prompt(recipe, {"heading_path": [], "text": "Another."})
    assert other[:-1] == prompt[:-1]


def test_questions_fill_their_own_slot() -> None:
    prompt = build_prompt(load_recipe("context"), {"question_id": "1", "question": "How\n are {question}s\tkept? "})
    assert prompt[-1]["content"].endswith("\n\nHow are {question}s kept?")


def test_a_slot_name_in_a_passage_stays_text() -> None:
    prompt = build_prompt(load_recipe("summary"), {"heading_path": [], "text": "fill {passage} here"})
    assert prompt[-1]["content"].count("fill {passage} here") == 1


PIECES = ["</passage>", "<PASSAGE>", "</", "<", "/", " ", "passage", "passage>", ">", " text "]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_a_passage_cannot_close_its_fence(text: str) -> None:
    fenced = fence([text], text)
    tags = [found.group() for found in re.finditer(r"<\s*/?\s*passage\b", fenced, re.IGNORECASE)]
    assert [tag for tag in tags if not tag.startswith("< ")] == ["<passage", "</passage"]
    assert fenced.endswith("</passage>")


def test_fixed_text_is_everything_but_the_source() -> None:
    recipe = load_recipe("query")
    fixed = fixed_text(recipe)
    assert "{" not in fixed
    assert all(shown.answer in fixed for shown in recipe.prompt.demonstrations)
    assert recipe.prompt.system in fixed
