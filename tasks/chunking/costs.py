"""What texts cost in the encoder's tokens, counted once per document."""

from collections.abc import Sequence

from models.tokens import TextTokenizer
from schemas.passage import passage_text


class TokenCosts:
    """Counts with a memory.

    Args:
        tokenizer: the encoder's own. It is asked a document's questions together, because every call of a
            tokenizer costs more than a short text does.
        max_tokens: most tokens of a passage with its heading path.
    """

    def __init__(self, tokenizer: TextTokenizer, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self._tokenizer = tokenizer
        self._special_tokens = tokenizer.count([""])[0]
        # A path is context: half of the budget is the passage's own.
        self._longest_path = (max_tokens - self._special_tokens) // 2
        self._known: dict[str, int] = {}

    def forget(self) -> None:
        """Begin another document."""
        self._known = {}

    def counted(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens included."""
        unknown = list({text for text in texts if text not in self._known})
        if unknown:
            self._known.update(zip(unknown, self._tokenizer.count(unknown), strict=True))
        return [self._known[text] for text in texts]

    def cost(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without the special tokens that a model puts around a whole passage."""
        return [count - self._special_tokens for count in self.counted(texts)]

    def budget(self, path: Sequence[str]) -> int:
        """Tokens that are left for a passage below a heading path."""
        return self.max_tokens - self.counted([passage_text(path, "")])[0]

    def path_fits(self, path: Sequence[str]) -> bool:
        """Whether a heading path leaves at least half of the budget to the passage."""
        return self.cost([passage_text(path, "")])[0] <= self._longest_path

    def shortened(self, title: str) -> str:
        """As much of a title as fits."""
        while not self.path_fits([title]):
            title = title[: len(title) * 3 // 4].rstrip()
        return title
