"""Token counts without loading a model."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tokenizers import Tokenizer

from schemas.errors import ModelError

WORD = re.compile(r"\S+")


class TextTokenizer(Protocol):
    """Anything that counts tokens and knows where they stand."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens included."""
        ...

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each token of a text stands, as (first character, one past the last); no special tokens."""
        ...


class TokenCounter:
    """Counts tokens as a model's own tokenizer does, special tokens included.

    Args:
        folder: of the model.
        window: longest text the model reads; longer ones count as that many. No limit when left out.

    Raises:
        ModelError: the folder has no readable tokenizer.json.
    """

    def __init__(self, folder: Path, window: int | None = None) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises plain Exception
            raise ModelError(f"no readable tokenizer: {error}", where=str(folder / "tokenizer.json")) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        if window:
            self._tokenizer.enable_truncation(window)

    def __call__(self, text: str) -> int:
        """Tokens of one text."""
        return self.count([text])[0]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts))]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """See `TextTokenizer.spans`."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).offsets)


class WordCounter:
    """Counts words, as the fake encoder's tokens."""

    def __call__(self, text: str) -> int:
        """Words of one text."""
        return len(text.split())

    def count(self, texts: Sequence[str]) -> list[int]:
        """Words of each text."""
        return [self(text) for text in texts]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """See `TextTokenizer.spans`."""
        return [word.span() for word in WORD.finditer(text)]
