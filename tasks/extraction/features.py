"""What a block classifier looks at: numbers about each block, the elements around it and the blocks beside it.

All are cheap: one pass over the blocks, one over the elements that hold them, the rest in NumPy.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.extraction.blocks import Block, Element

Floats = NDArray[np.float32]

_NAME_WORD = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{2,}")
_WORD = re.compile(r"[^\W\d_]{2,}")
_DIGIT = re.compile(r"\d")
_DATE = re.compile(r"\b(?:19|20)\d\d\b|\d{1,2}[:.]\d{2}")
_SENTENCE_ENDS = (".", "!", "?", '"', "\u201d", "\u00bb", "\u2026", ":", "\u3002")
_MARKS = ",.;!?"
_SHORT = 120
_PROSE_CHARACTERS = 80
_PROSE_LINK_SHARE = 0.3
_LINK_SHARE = 0.95
_LONGEST_READ = 2000

_AROUND_NAMES = "article main aside footer nav form table blockquote figure p"
_CONTAINER_NAMES = "div section article main td th body aside header footer nav form blockquote figure details"
_AROUND, _CONTAINERS = _AROUND_NAMES.split(), frozenset(_CONTAINER_NAMES.split())
_CORE_SHARES = (0.4, 0.6, 0.8)
_CONTAINER_LEVELS = 3
_NEIGHBOURS = (1, 2, -1, -2)
_FARTHEST = 20.0

_OWN_NAMES = """
    is_heading is_item is_row level log_characters log_words link_share marks_share log_marks
    ends_sentence ends_colon digit_share has_date has_sign characters_per_word word_score repeats
    in_title starts_title
"""
_OWN = _OWN_NAMES.split()
_LENGTH_COLUMN, _LINKS_COLUMN, _LEVEL_COLUMN = map(_OWN.index, ("log_characters", "link_share", "level"))
_ELEMENT = [*(f"in_{tag}" for tag in _AROUND), "depth", "name_near", "name_min", "name_max", "name_sum"]
_CORE = [f"core_{int(share * 100)}" for share in _CORE_SHARES]
_CONTAINER = ["log_characters", "link_share", "share", "prose_share", "blocks", "prose_density"]
_PLACE = ["index_share", "characters_share", "log_index", "log_rest", "from_h1", "from_title", "from_heading"]
_BESIDE = ["is_heading", "log_characters", "link_share", "log_marks", "ends_sentence"]
_WINDOWS = (2, 5)
_PAGE = [f"page_{name}" for name in ("blocks", "characters", "prose_share", "link_share", "has_h1", "has_article")]

NAMES: tuple[str, ...] = (
    *_OWN,
    *_PLACE,
    *_ELEMENT,
    *_CORE,
    *(f"container{level}_{name}" for level in range(1, _CONTAINER_LEVELS + 1) for name in _CONTAINER),
    *(f"{name}_{step:+d}" for step in _NEIGHBOURS for name in _BESIDE),
    *(f"prose_within_{width}" for width in _WINDOWS),
    *_PAGE,
)
"""Columns of `features`, in order."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How much more often than usual a word stands with content (positive) or beside it.

    Attributes:
        names: words in class, id, role and itemprop attributes.
        words: words of short blocks.
    """

    names: Mapping[str, float]
    words: Mapping[str, float]


@lru_cache(maxsize=8192)
def name_words(names: str) -> frozenset[str]:
    """Words of attribute values: `"post-body mainText"` gives post, body, main, text."""
    return frozenset(word.lower() for word in _NAME_WORD.findall(names))


def short_words(text: str) -> set[str]:
    """Words of a block that is too short to speak for itself; none of a longer one."""
    return {word.lower() for word in _WORD.findall(text)} if len(text) <= _SHORT else set()


def is_link(block: Block) -> bool:
    """Whether a paragraph or list item is nothing but links: more than half of all blocks, hardly ever content."""
    return block.link_characters > _LINK_SHARE * len(block.text) and block.kind in ("item", "text")


def features(blocks: Sequence[Block], title: str, vocabulary: Vocabulary) -> Floats:
    """Numbers by which content is told from what surrounds it.

    Args:
        blocks: all of a page's, in order; at least one.
        title: of the page, from its head.

    Returns:
        One row a block, one column for each of `NAMES`.
    """
    own = np.array(_own_rows(blocks, title, vocabulary.words), dtype=np.float32)
    elements = _Elements(blocks, vocabulary.names)
    page = np.tile(np.array(_page_row(elements, own), dtype=np.float32), (len(blocks), 1))
    parts = [own, _places(blocks, title, own), elements.rows()[elements.of_block], *_beside(own), page]
    return np.hstack(parts)


def _own_rows(blocks: Sequence[Block], title: str, words: Mapping[str, float]) -> list[list[float]]:
    repeats = Counter(block.text for block in blocks)
    return [
        _link_row(block) if is_link(block) else _own_row(block, title, words, repeats[block.text]) for block in blocks
    ]


def _own_row(block: Block, title: str, words: Mapping[str, float], repeats: int) -> list[float]:
    text, length = block.text[:_LONGEST_READ], len(block.text)
    words_read = text.count(" ") + 1
    marks = sum(map(text.count, _MARKS))
    scores = [words[word] for word in short_words(text) if word in words]
    digits = len(_DIGIT.findall(text, 0, _SHORT))
    return [
        block.kind == "heading",
        block.kind == "item",
        block.kind == "row",
        block.level,
        math.log1p(length),
        math.log1p(words_read),
        block.link_characters / length,
        marks / len(text),
        math.log1p(marks),
        text.endswith(_SENTENCE_ENDS),
        text.endswith(":"),
        digits / min(length, _SHORT),
        digits > 2 and _DATE.search(text, 0, _SHORT) is not None,
        "\u00a9" in text or "|" in text,
        len(text) / words_read,
        sum(scores) / len(scores) if scores else 0.0,
        repeats,
        text in title,
        length > 8 and title.startswith(text[:30]),
    ]


def _link_row(block: Block) -> list[float]:
    row = [0.0] * len(_OWN)
    row[_LENGTH_COLUMN], row[_LINKS_COLUMN] = math.log1p(len(block.text)), 1.0
    return row


def _places(blocks: Sequence[Block], title: str, own: Floats) -> Floats:
    count = len(blocks)
    index = np.arange(count, dtype=np.float32)
    characters = np.expm1(own[:, _LENGTH_COLUMN])
    before = np.cumsum(characters) - characters
    is_heading = own[:, 0] > 0
    first_h1 = next((n for n, block in enumerate(blocks) if block.kind == "heading" and block.level == 1), None)
    named = next((n for n, block in enumerate(blocks) if _repeats_title(block, title)), None)
    last_heading = np.maximum.accumulate(np.where(is_heading, index, -1))
    columns = [
        index / count,
        before / max(1.0, float(characters.sum())),
        np.log1p(index),
        np.log1p(count - index),
        _distance(index, first_h1),
        _distance(index, named),
        np.where(last_heading >= 0, np.minimum(index - last_heading, 99), 99),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _repeats_title(block: Block, title: str) -> bool:
    return block.kind == "heading" and len(block.text) > 8 and block.text[:40].lower() in title.lower()


def _distance(index: Floats, origin: int | None) -> Floats:
    if origin is None:
        return np.full_like(index, -1.5 * _FARTHEST)
    return np.clip(index - origin, -_FARTHEST, _FARTHEST)


class _Names(NamedTuple):
    """How the names of an element and of those around it score: the nearest, the extremes and the sum."""

    near: float
    lowest: float
    highest: float
    total: float

    def within(self, low: float, high: float) -> "_Names":
        """The same for an element inside, whose own names score from `low` to `high`."""
        own = low + high
        near = own if low or high else self.near * 0.8
        return _Names(near, min(self.lowest, low), max(self.highest, high), self.total + own)


_NO_NAMES = _Names(0.0, 0.0, 0.0, 0.0)


class _Elements:
    """The elements that hold blocks, parents before children, and what they hold."""

    def __init__(self, blocks: Sequence[Block], scores: Mapping[str, float]) -> None:
        self._numbers: dict[int, int] = {}
        self._elements: list[Element] = []
        self._parents: list[int] = []
        self.of_block = np.array([self._number(block.element) for block in blocks])
        self._held = self._totals(blocks)
        self._scores = scores
        self._ranges: dict[str, tuple[float, float]] = {"": (0.0, 0.0)}

    def _number(self, element: Element) -> int:
        missing = []
        around: Element | None = element
        while around is not None and id(around) not in self._numbers:
            missing.append(around)
            around = around.parent
        for added in reversed(missing):
            self._numbers[id(added)] = len(self._elements)
            self._elements.append(added)
            self._parents.append(self._numbers[id(added.parent)] if added.parent else -1)
        return self._numbers[id(element)]

    def _totals(self, blocks: Sequence[Block]) -> NDArray[np.float64]:
        """Characters, link characters, characters of prose and blocks of each element, all it encloses counted."""
        held = [[0, 0, 0, 0] for _ in self._elements]
        for block, number in zip(blocks, self.of_block.tolist(), strict=True):
            length, links = len(block.text), block.link_characters
            is_prose = length > _PROSE_CHARACTERS and links < length * _PROSE_LINK_SHARE and block.kind != "heading"
            total = held[number]
            total[0] += length
            total[1] += links
            total[2] += length if is_prose else 0
            total[3] += 1
        for number in range(len(held) - 1, 0, -1):
            inner, outer = held[number], held[self._parents[number]]
            outer[0] += inner[0]
            outer[1] += inner[1]
            outer[2] += inner[2]
            outer[3] += inner[3]
        return np.array(held, dtype=np.float64)

    @property
    def page_totals(self) -> list[float]:
        """Characters, link characters, characters of prose and blocks of the page."""
        totals: list[float] = self._held[0].tolist()
        return totals

    def has(self, tag: str) -> bool:
        """Whether some block stands in such an element."""
        return any(element.tag == tag for element in self._elements)

    def rows(self) -> Floats:
        """`_ELEMENT`, `_CORE` and container columns of every element."""
        described = self._described()
        containers = [described[level] for level in self._containers()]
        return np.hstack([self._inherited(), self._core(), *containers]).astype(np.float32)

    def _inherited(self) -> Floats:
        """`_ELEMENT` columns: what lies around an element, and how its and their names score."""
        around: list[int] = []
        names: list[_Names] = []
        for element, parent in zip(self._elements, self._parents, strict=True):
            around.append((around[parent] if parent >= 0 else 0) | _AROUND_BITS.get(element.tag, 0))
            outer = names[parent] if parent >= 0 else _NO_NAMES
            names.append(outer.within(*self._range(element.names)))
        flags = (np.array(around)[:, None] >> np.arange(len(_AROUND))) & 1
        depths = [[element.depth] for element in self._elements]
        return np.hstack([flags, depths, names]).astype(np.float32)

    def _range(self, names: str) -> tuple[float, float]:
        """Lowest and highest score of the words in attribute values; 0 and 0 when none is known."""
        known = self._ranges.get(names)
        if known is None:
            scores = [self._scores[word] for word in name_words(names) if word in self._scores]
            known = self._ranges[names] = (min(scores), max(scores)) if scores else (0.0, 0.0)
        return known

    def _core(self) -> NDArray[np.float64]:
        """How many levels an element lies above (0: in) the deepest one with most of the page's prose."""
        shares = (self._held[:, 2] / max(1.0, self._held[0, 2])).tolist()
        levels: list[tuple[int, int, int]] = []
        low, middle, high = _CORE_SHARES
        for share, parent in zip(shares, self._parents, strict=True):
            first, second, third = levels[parent] if parent >= 0 else (0, 0, 0)
            levels.append((first + (share >= low), second + (share >= middle), third + (share >= high)))
        reached = np.array(levels, dtype=np.float64)
        above: NDArray[np.float64] = reached - reached.max(axis=0)
        return above

    def _containers(self) -> list[list[int]]:
        """For each level, the number of every element's nearest container, of that one's, and so on."""
        nearest: list[int] = []
        for number, (element, parent) in enumerate(zip(self._elements, self._parents, strict=True)):
            nearest.append(number if element.tag in _CONTAINERS or parent < 0 else nearest[parent])
        levels = [nearest]
        for _ in range(_CONTAINER_LEVELS - 1):
            levels.append([nearest[max(0, self._parents[number])] for number in levels[-1]])
        return levels

    def _described(self) -> NDArray[np.float64]:
        characters, links, prose, blocks = self._held.T
        some = np.maximum(1.0, characters)
        columns = [
            np.log1p(characters),
            links / some,
            characters / max(1.0, characters[0]),
            prose / max(1.0, prose[0]),
            blocks,
            prose / some,
        ]
        return np.stack(columns, axis=1)


_AROUND_BITS = {tag: 1 << number for number, tag in enumerate(_AROUND)}


def _beside(own: Floats) -> list[Floats]:
    beside = own[:, [_OWN.index(name) for name in _BESIDE]]
    shifted = [_shifted(beside, step) for step in _NEIGHBOURS]
    is_prose = own[:, _LINKS_COLUMN] < _PROSE_LINK_SHARE
    prose = np.where(is_prose, np.expm1(own[:, _LENGTH_COLUMN]), 0.0)
    return [*shifted, np.stack([np.log1p(_within(prose, width)) for width in _WINDOWS], axis=1).astype(np.float32)]


def _shifted(rows: Floats, step: int) -> Floats:
    moved = np.zeros_like(rows)
    if step > 0:
        moved[step:] = rows[:-step]
    else:
        moved[:step] = rows[-step:]
    return moved


def _within(values: Floats, width: int) -> NDArray[np.float64]:
    """Sum of each value and of `width` values on both sides."""
    totals = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    index = np.arange(len(values))
    sums: NDArray[np.float64] = (
        totals[np.minimum(index + width + 1, len(values))] - totals[np.maximum(index - width, 0)]
    )
    return np.maximum(sums, 0)


def _page_row(elements: _Elements, own: Floats) -> list[float]:
    characters, links, prose, count = elements.page_totals
    has_h1 = bool((own[:, _LEVEL_COLUMN] == 1).any())
    has_article = elements.has("article")
    some = max(1.0, characters)
    return [math.log1p(count), math.log1p(characters), prose / some, links / some, has_h1, has_article]
