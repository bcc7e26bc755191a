"""Semantic merge: units stay together while each is like the one before it."""

from collections.abc import Callable, Iterator
from itertools import pairwise

from models.encoder import Encoder
from models.tokens import TextTokenizer
from tasks.chunking.chunker import Run
from tasks.chunking.outline import Outline
from tasks.chunking.sections import Section
from tasks.chunking.structure import StructureChunker


class SemanticChunker(StructureChunker):
    """Structure-aware, and divided besides wherever the cosine of two neighbouring units is below a threshold.

    Items of a list and rows of a table say different things and belong together: there it does not look. What
    stays together and is still too long is packed as `StructureChunker` packs a section.

    Args:
        similarity: least cosine of two neighbouring units in one passage.
        open_encoder: called when the first document is cut.
    """

    def __init__(
        self, max_tokens: int, tokenizer: TextTokenizer, similarity: float, open_encoder: Callable[[], Encoder]
    ) -> None:
        super().__init__(max_tokens, tokenizer)
        self._similarity = similarity
        self._open_encoder = open_encoder

    def runs(self, outline: Outline) -> Iterator[Run]:
        """See `Chunker.runs`."""
        alike = self._alike(outline)
        for section in outline.sections:
            for group in _groups(section, [next(alike) for _ in section.units]):
                yield from self.packed(outline, group)

    def _alike(self, outline: Outline) -> Iterator[bool]:
        """For every unit in a section whether it is like the unit before it."""
        units = [unit for section in outline.sections for unit in section.units]
        encoded = self._open_encoder().encode([outline.text[unit.start : unit.end] for unit in units])
        self.tokens_read += encoded.tokens
        cosines = (encoded.vectors[1:] * encoded.vectors[:-1]).sum(axis=1).tolist()
        yield False
        for (before, unit), cosine in zip(pairwise(units), cosines, strict=True):
            yield cosine >= self._similarity or (unit.kind == before.kind and unit.kind in ("item", "row"))


def _groups(section: Section, alike: list[bool]) -> Iterator[Section]:
    """Stretches of a section whose neighbours are alike."""
    seams = [number for number in range(1, len(alike)) if not alike[number]]
    for first, last in zip([0, *seams], [*seams, len(alike)], strict=True):
        yield Section(section.heading_path, section.units[first:last])
