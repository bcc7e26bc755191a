"""Crawled text must stay text: the strings that a tokenizer reads as control tokens are broken up."""

import re
from collections.abc import Iterable, Sequence

from models.language import Message, Prompt

COMMON_CONTROL_TOKENS = re.compile(
    r"<[|\uff5c][^|\uff5c<>\n]{1,60}[|\uff5c]>"  # <|im_end|>, <|eot_id|>, and the same with full-width bars
    r"|</?(?:s|bos|eos|unk|pad|start_of_turn|end_of_turn|think|tool_call|tool_response)>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
    r"|<</?SYS>>"
)
"""The control tokens of the common chat templates: for a model whose tokenizer is out of reach."""


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
