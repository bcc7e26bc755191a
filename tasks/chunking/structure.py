"""Structure-aware chunking: whole units, packed within their section, decided so that an edit stays local."""

from collections.abc import Iterator

from tasks.chunking.chunker import Chunker, Run
from tasks.chunking.outline import Outline
from tasks.chunking.packing import pack
from tasks.chunking.sections import Section


class StructureChunker(Chunker):
    """Never cuts through a table row, code or a list item that fits by itself, nor crosses a heading."""

    def runs(self, outline: Outline) -> Iterator[Run]:
        """See `Chunker.runs`."""
        self.costs.counted([outline.text[unit.start : unit.end] for unit in outline.units])
        for section in outline.sections:
            yield from self.packed(outline, section)

    def packed(self, outline: Outline, section: Section) -> Iterator[Run]:
        """A section, or some of its units in a row, as runs that fit."""
        path = section.heading_path
        for parts in pack(outline.text, section.parts, self.costs.budget(path), self.costs.cost):
            yield Run(path, parts)
