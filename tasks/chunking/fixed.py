"""Fixed windows: so many tokens, wherever these end. The plainest strategy, to compare others with."""

from collections.abc import Iterator

from models.tokens import TextTokenizer
from schemas.passage import passage_text
from tasks.chunking.chunker import Chunker, Run
from tasks.chunking.outline import Outline
from tasks.chunking.packing import Part


class FixedChunker(Chunker):
    """Windows over all of the text, headings included, each as long as its heading path allows.

    Args:
        overlap_tokens: tokens that a window shares with the one before it, as they count in the whole text.
    """

    def __init__(self, max_tokens: int, tokenizer: TextTokenizer, overlap_tokens: int) -> None:
        super().__init__(max_tokens, tokenizer)
        self._tokenizer = tokenizer
        self._overlap_tokens = overlap_tokens

    def runs(self, outline: Outline) -> Iterator[Run]:
        """See `Chunker.runs`."""
        # A character may be several tokens: it is cut before the first of them.
        seams = sorted({0, *(start for start, _ in self._tokenizer.spans(outline.text)), len(outline.text)})
        first, final = 0, len(seams) - 1
        while first < final:
            last = self._last(outline, seams, first)
            part = _trimmed(outline.text, seams[first], seams[last])
            if part.start < part.end:
                yield Run(outline.path_at(part.start), [part])
            first = final if last == final else max(first + 1, last - self._overlap_tokens)

    def _last(self, outline: Outline, seams: list[int], first: int) -> int:
        """Number of the seam that a window from seam `first` on may reach."""
        path = outline.path_at(seams[first])
        last = min(first + max(1, self.costs.budget(path)), len(seams) - 1)
        while last > first + 1:
            seen = passage_text(path, outline.text[seams[first] : seams[last]].strip())
            excess = self.costs.counted([seen])[0] - self.costs.max_tokens
            if excess <= 0:
                break
            last = max(first + 1, last - excess)
        return last


def _trimmed(text: str, start: int, end: int) -> Part:
    inside = text[start:end]
    start += len(inside) - len(inside.lstrip())
    return Part("text", start, start + len(inside.strip()))
