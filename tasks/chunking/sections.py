"""Sections: runs of units that stand under the same headings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from schemas.hashing import normalise
from tasks.chunking.packing import Part
from tasks.chunking.units import Unit


@dataclass(frozen=True, slots=True)
class Section:
    """Units with nothing but white space between them, and the headings above them.

    Attributes:
        heading_path: document title, then headings from the outermost.
    """

    heading_path: tuple[str, ...]
    units: list[Unit] = field(default_factory=list)

    @property
    def parts(self) -> list[Part]:
        """The units as packing takes them."""
        return [Part(unit.kind, unit.start, unit.end) for unit in self.units]


def read_sections(title: str, text: str, fits: Callable[[Sequence[str]], bool], units: Sequence[Unit]) -> list[Section]:
    """Group units under their headings.

    A heading with nothing below it is text of the section around it, and so is one that would make
    the path longer than `fits` allows: a path is context, and leaves room for what it introduces.

    Args:
        title: of the document, first in every path; a heading that repeats it is not named twice.
        text: of the document.
        fits: whether a heading path is short enough.
        units: of the text, from `read_units`.
    """
    sections: list[Section] = []
    above: list[tuple[int, str]] = []
    starts_anew = True
    for unit, following in zip(units, [*units, None][1:], strict=True):
        if unit.kind == "heading":
            above = [heading for heading in above if heading[0] < unit.level]
            name = text[unit.start : unit.end].lstrip("#").strip()
            if not _is_bare(unit, following) and fits(_path(title, [*above, (unit.level, name)])):
                above.append((unit.level, name))
                starts_anew = True
                continue
            unit = replace(unit, kind="text")  # noqa: PLW2901 - from here on it is a paragraph
        path = _path(title, above)
        if starts_anew or path != sections[-1].heading_path:
            sections.append(Section(path))
        sections[-1].units.append(unit)
        starts_anew = False
    return sections


def _is_bare(heading: Unit, following: Unit | None) -> bool:
    return following is None or (following.kind == "heading" and following.level <= heading.level)


def _path(title: str, above: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    names = [name for _, name in above]
    if names and normalise(names[0]) == normalise(title):
        names = names[1:]
    return (title, *names)
