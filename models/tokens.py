"""Token counts without loading a model."""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from tokenizers import Tokenizer

from models.folders import sha256_of
from schemas.errors import ModelError

WORD = re.compile(r"\S+")
_MOST_KNOWN_WORDS = 500_000
# White space to Python, and control characters that BERT's tokenizers leave out, which joins what they divide.
_JOINING = re.compile(r"[\x0b\x0c\x1c-\x1f\x85]")


class TextTokenizer(Protocol):
    """Anything that counts tokens and knows where they stand."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens included."""
        ...

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each token of a text stands, as (first character, one past the last); no special tokens."""
        ...


@lru_cache(maxsize=16)
def tokenizer_file_id(folder: Path) -> str:
    """Fingerprint of a model's tokenizer.json, which is read once per process.

    Raises:
        ModelError: the folder has no readable tokenizer.json.
    """
    try:
        return sha256_of(folder / "tokenizer.json")
    except OSError as error:
        raise ModelError(f"no readable tokenizer: {error.strerror}", where=str(folder / "tokenizer.json")) from error


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
        self._special = len(self._tokenizer.encode("").ids)
        self._known: dict[str, int] | None = None if window or not _counts_words(self._tokenizer) else {}
        if window:
            self._tokenizer.enable_truncation(window)

    def __call__(self, text: str) -> int:
        """Tokens of one text."""
        return self.count([text])[0]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        if self._known is None or any(map(_JOINING.search, texts)):
            return self._encoded(texts)
        words = [text.split() for text in texts]
        if len(self._known) > _MOST_KNOWN_WORDS:
            self._known.clear()
        unknown = list({word for each in words for word in each if word not in self._known})
        if unknown:
            costs = (count - self._special for count in self._encoded(unknown))
            self._known.update(zip(unknown, costs, strict=True))
        cost = self._known.__getitem__
        return [self._special + sum(map(cost, each)) for each in words]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """See `TextTokenizer.spans`."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).offsets)

    def _encoded(self, texts: Sequence[str]) -> list[int]:
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(list(texts))]


def _counts_words(tokenizer: Tokenizer) -> bool:
    """Whether a text costs what its words cost: so it is with BERT's tokenizers, which divide at white space first."""
    content = json.loads(tokenizer.to_str())
    parts = [(content[name] or {}).get("type") for name in ("normalizer", "pre_tokenizer", "model")]
    plain = not any(token["lstrip"] or token["rstrip"] or " " in token["content"] for token in content["added_tokens"])
    return parts == ["BertNormalizer", "BertPreTokenizer", "WordPiece"] and plain


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
