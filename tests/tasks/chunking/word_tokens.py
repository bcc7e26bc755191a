"""A tokenizer whose tokens can be counted by eye."""

import re
from collections.abc import Sequence

TOKEN = re.compile(r"\w+|[^\w\s]")


class WordTokens:
    """Words and signs are tokens, and two special ones stand around them, as BERT's do."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """See `models.tokens.TextTokenizer`."""
        return [2 + len(TOKEN.findall(text)) for text in texts]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """See `models.tokens.TextTokenizer`."""
        return [token.span() for token in TOKEN.finditer(text)]
