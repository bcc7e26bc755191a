"""Packing: which neighbouring units share a passage, decided so that an edit changes as few passages as it can.

Filling passages one after another would be simpler, but a paragraph that grows by a line would then move
every boundary after it. Here a run of units that is too long for one passage is divided at the seam whose
neighbourhood hashes lowest, and each half again (content-defined, as in LBFS, doi 10.1145/502034.502052):
a seam depends on the words right after it, not on what was packed before.

The lowest of all seams is taken, wherever it stands, so that divisions form a treap (Seidel and Aragon,
doi 10.1007/BF01940876): another value of one seam only regroups the units around it. So a unit that is
edited changes passages that hold it. Others change in two cases. Where the unit no longer fits beside the
units that shared its passage, they are divided anew. Where its first words change, or whether it ends with
a colon, so may the passages of its two neighbours. No edit reaches farther.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from schemas.hashing import digest
from tasks.chunking.units import Kind

Cost = Callable[[Sequence[str]], list[int]]
"""Tokens of each text, without the special tokens that a model puts around a whole passage."""

_BLANK_LINE, _LINE, _WORD = re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"\s+")
_SENTENCE, _CELL = re.compile(r"(?<=[.!?;:])\s+|(?<=[\u3002\uff01\uff1f\uff1b])"), re.compile(r"(?<=\|)\s+")
_FINER: dict[Kind, tuple[re.Pattern[str], ...]] = {
    "heading": (_WORD,),
    "text": (_LINE, _SENTENCE, _WORD),
    "item": (_LINE, _SENTENCE, _WORD),
    "row": (_LINE, _CELL, _WORD),
    "code": (_BLANK_LINE, _LINE, _WORD),
}
Resistance = tuple[int, str, str]
_SLICE_CHARACTERS = 8
_OPENING_CHARACTERS = 24


@dataclass(frozen=True, slots=True)
class Part:
    """A unit, or a piece of one that is too long by itself: text[start:end].

    Attributes:
        fineness: how many kinds of seams it was already cut at.
    """

    kind: Kind
    start: int
    end: int
    fineness: int = 0


def pack(text: str, parts: Sequence[Part], budget: int, cost: Cost) -> Iterator[list[Part]]:
    """Divide neighbouring parts into runs that fit.

    Args:
        budget: tokens that a run may cost. One character that costs more still makes a run.

    Yields:
        Runs in order. A part that is too long by itself is cut at lines, then sentences or cells, then words.
    """
    costs = cost([text[part.start : part.end] for part in parts])
    for first, last in _runs(costs, _resistances(text, parts), budget):
        part = parts[first]
        if last - first > 1 or costs[first] <= budget or part.end - part.start == 1:
            yield list(parts[first:last])
        else:
            yield from pack(text, _cut(text, part), budget, cost)


def _runs(costs: Sequence[int], resistances: Sequence[Resistance], budget: int) -> Iterator[tuple[int, int]]:
    totals = [0, *accumulate(costs)]
    pending = [(0, len(costs))]
    while pending:
        first, last = pending.pop()
        if last - first == 1 or totals[last] - totals[first] <= budget:
            yield first, last
            continue
        # The middle only decides between parts that say the same.
        seam = min(range(first + 1, last), key=lambda place: (resistances[place], abs(2 * place - first - last)))
        pending += [(seam, last), (first, seam)]


def _resistances(text: str, parts: Sequence[Part]) -> list[Resistance]:
    """How unwilling the text is to be divided before each part; ties are broken by the words that follow."""
    return [(0, "", ""), *(_resistance(text, before, part) for before, part in pairwise(parts))]


def _resistance(text: str, before: Part, part: Part) -> Resistance:
    inside = text[part.start : part.end]
    return _bond(text, before, part), digest(inside[:_OPENING_CHARACTERS]), digest(inside)


def _bond(text: str, before: Part, part: Part) -> int:
    if text[before.start : before.end].endswith(":"):
        return 2
    return int(part.kind not in ("text", "heading"))


def _cut(text: str, part: Part) -> list[Part]:
    seams = _FINER[part.kind]
    for fineness in range(part.fineness, len(seams)):
        pieces = _pieces(text, part, seams[fineness], fineness + 1)
        if len(pieces) > 1:
            return pieces
    size = min(_SLICE_CHARACTERS, (part.end - part.start + 1) // 2)
    starts = range(part.start, part.end, size)
    return [Part(part.kind, start, min(start + size, part.end), len(seams)) for start in starts]


def _pieces(text: str, part: Part, seam: re.Pattern[str], fineness: int) -> list[Part]:
    gaps = [match.span() for match in seam.finditer(text, part.start, part.end)]
    starts = [part.start, *(end for _, end in gaps)]
    ends = [*(start for start, _ in gaps), part.end]
    spans = zip(starts, ends, strict=True)
    return [Part(part.kind, start, end, fineness) for start, end in spans if text[start:end].strip()]
