"""Prompts: a recipe's conversation with a source in its slot."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from models.language import Message
from schemas.hashing import normalise
from tasks.recipes import SLOT, Recipe

FENCE = re.compile(r"<(?=\s*/?\s*passage\b)", re.IGNORECASE)


def build_prompt(recipe: Recipe, source: Mapping[str, Any]) -> list[Message]:
    """System turn, one pair of turns per demonstration, then the turn that shows the source.

    Args:
        source: `heading_path` and `text` of a passage, or a `question`.
    """
    prompt: list[Message] = [{"role": "system", "content": recipe.prompt.system}]
    for shown in recipe.prompt.demonstrations:
        example = {"heading_path": shown.heading_path, "text": shown.passage, "question": shown.question}
        prompt.append({"role": "user", "content": _fill(recipe.prompt.user, example)})
        prompt.append({"role": "assistant", "content": shown.answer})
    prompt.append({"role": "user", "content": _fill(recipe.prompt.user, source)})
    return prompt


def fixed_text(recipe: Recipe) -> str:
    """All that is the same in every prompt of the recipe: what an output may not copy."""
    shown = [f"{example.passage} {example.answer}" for example in recipe.prompt.demonstrations]
    return " ".join([recipe.prompt.system, SLOT.sub(" ", recipe.prompt.user), *shown])


def fence(heading_path: Sequence[str], text: str) -> str:
    """A passage between tags that it cannot close itself: crawled text is data, never instruction."""
    headings = " > ".join(normalise(heading) for heading in heading_path)
    inside = "\n".join(part for part in (headings, text.strip()) if part)
    return f"<passage>\n{FENCE.sub('< ', inside)}\n</passage>"


def _fill(template: str, source: Mapping[str, Any]) -> str:
    """Fill the slots in one pass, so that a slot's name inside a source stays text."""
    if "{question}" in template:
        values = {"question": normalise(source["question"])}
    else:
        values = {"passage": fence(source["heading_path"], source["text"])}
    return SLOT.sub(lambda slot: values[slot[1]], template).strip()
