"""Recursive chunking: at the coarsest separators that make pieces fit, markup or not."""

from collections.abc import Iterator

from semantic_text_splitter import TextSplitter

from models.tokens import TextTokenizer
from tasks.chunking.chunker import Chunker, Run
from tasks.chunking.outline import Outline
from tasks.chunking.packing import Part


class RecursiveChunker(Chunker):
    """Cuts at blank lines, else at lines, sentences, words and characters, and merges neighbours that fit together.

    It is `semantic_text_splitter`'s plain text splitter over all of the text, headings included. One document has
    one budget: what its longest heading path leaves.

    Args:
        overlap_tokens: most tokens that a passage shares with the one before it, in whole pieces.
    """

    def __init__(self, max_tokens: int, tokenizer: TextTokenizer, overlap_tokens: int) -> None:
        super().__init__(max_tokens, tokenizer)
        self._overlap_tokens = overlap_tokens

    def runs(self, outline: Outline) -> Iterator[Run]:
        """See `Chunker.runs`."""
        capacity = min(self.costs.budget(section.heading_path) for section in outline.sections)
        overlap = min(self._overlap_tokens, capacity - 1)
        splitter = TextSplitter.from_callback(self._cost, capacity, overlap)
        for start, piece in splitter.chunk_indices(outline.text):
            if piece.strip():
                yield Run(outline.path_at(start), [Part("text", start, start + len(piece))])

    def _cost(self, piece: str) -> int:
        return self.costs.cost([piece])[0]
