"""The outline of a document: what every strategy knows about it before it cuts."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from schemas.passage import passage_text
from tasks.chunking.costs import TokenCosts
from tasks.chunking.sections import Section, read_sections
from tasks.chunking.units import Kind, Unit, read_units

_KIND_OF_UNIT: dict[Kind, str] = {"heading": "text", "text": "text", "item": "list", "row": "table", "code": "code"}


@dataclass(frozen=True)
class Outline:
    """A document's text, its units in order, and the sections they form."""

    text: str
    units: list[Unit]
    sections: list[Section]

    def path_at(self, position: int) -> tuple[str, ...]:
        """Headings above the first text at or after a position: those that a passage from there on needs."""
        place = bisect_right(self._section_ends, position)
        return self.sections[min(place, len(self.sections) - 1)].heading_path

    def kind(self, start: int, end: int) -> str:
        """What most characters of text[start:end] belong to: text, table, code or list."""
        characters: Counter[str] = Counter()
        for place in range(bisect_right(self._unit_ends, start), len(self.units)):
            unit = self.units[place]
            if unit.start >= end:
                break
            characters[_KIND_OF_UNIT[unit.kind]] += min(end, unit.end) - max(start, unit.start)
        return characters.most_common(1)[0][0]

    @cached_property
    def _section_ends(self) -> list[int]:
        return [section.units[-1].end for section in self.sections]

    @cached_property
    def _unit_ends(self) -> list[int]:
        return [unit.end for unit in self.units]


def read_outline(title: str, text: str, costs: TokenCosts) -> Outline:
    """Read a document's structure, with heading paths that leave room for what they introduce."""
    units = read_units(text)
    short_title = costs.shortened(title)
    likely = read_sections(short_title, text, lambda _: True, units)
    # Counted in one call, because they are sure to be asked for.
    costs.counted(list({passage_text(path, "") for section in likely for path in _beginnings(section.heading_path)}))
    return Outline(text, units, read_sections(short_title, text, costs.path_fits, units))


def _beginnings(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (path[:depth] for depth in range(1, len(path) + 1))
