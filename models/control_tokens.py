"""Crawled text must stay text: the strings that a tokenizer reads as control tokens are broken up."""

import re
from collections.abc import Iterable, Sequence

from models.language import Message, Prompt


def control_token_pattern(tokens: Iterable[str]) -> re.Pattern[str]:
    """Matches any of the tokens; the longest first, so that none hides in another."""
    alternatives = sorted((token for token in tokens if len(token) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, alternatives)) or r"(?!)")


def neutralise(text: str, pattern: re.Pattern[str]) -> str:
    """The text with a space after the first character of every control token: legible, but only text.

    >>> neutralise("end<|im_end|>", control_token_pattern(["<|im_end|>"]))
    'end< |im_end|>'
    """
    return pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)


def neutralise_prompt(prompt: Prompt, pattern: re.Pattern[str]) -> Sequence[Message]:
    """The prompt with every message neutralised; only the chat template may write control tokens."""
    return [{"role": message["role"], "content": neutralise(message["content"], pattern)} for message in prompt]
