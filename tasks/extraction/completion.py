"""What belongs to the blocks that a classifier chose, though it would not have chosen it by itself."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.extraction.blocks import Block
from tasks.extraction.features import Floats, is_link

Choice = NDArray[np.bool_]
"""For each block of a page whether it is kept."""

_LEAST_TERMS = 2
_HEADING_CHANCE = 0.2


def completed(blocks: Sequence[Block], chances: Floats, chosen: Choice) -> list[Block]:
    """The chosen blocks and what they cannot do without: headings above them, the rest of their lists, code
    between them; on reference pages everything. Headings under which everything was dropped go with it.

    Args:
        chances: how likely each block is content.
        chosen: what the classifier would keep.
    """
    kept = _with_reference(blocks, chosen)
    kept = _with_whole_groups(blocks, kept)
    kept = _with_code(blocks, kept)
    kept = _with_headings(blocks, chances, kept)
    return without_emptied_headings(blocks, kept.tolist())


def _with_reference(blocks: Sequence[Block], kept: Choice) -> Choice:
    """A page of documented terms is content from its first heading, and unlike what classifiers learn from."""
    headings = [number for number, block in enumerate(blocks) if block.kind == "heading"]
    if sum(blocks[number].element.tag == "dt" for number in headings) < _LEAST_TERMS:
        return kept
    return kept | [number >= headings[0] and not is_link(block) for number, block in enumerate(blocks)]


def _with_whole_groups(blocks: Sequence[Block], kept: Choice) -> Choice:
    """A list or table of which half is content is content."""
    groups: dict[int, list[int]] = defaultdict(list)
    for number, block in enumerate(blocks):
        if block.group and block.kind in ("item", "row") and not is_link(block):
            groups[block.group].append(number)
    whole = kept.copy()
    for members in groups.values():
        whole[members] |= 2 * kept[members].sum() >= len(members)
    return whole


def _with_code(blocks: Sequence[Block], kept: Choice) -> Choice:
    """Code that stands beside content is content."""
    beside = np.zeros_like(kept)
    beside[1:] |= kept[:-1]
    beside[:-1] |= kept[1:]
    return kept | (beside & [block.kind == "code" for block in blocks])


def _with_headings(blocks: Sequence[Block], chances: Floats, kept: Choice) -> Choice:
    """A heading that leads to content is content, unless it is most unlikely."""
    led = kept.copy()
    lowest = 0
    for number in range(len(blocks) - 1, -1, -1):
        block = blocks[number]
        if block.kind == "heading" and block.level < lowest and chances[number] > _HEADING_CHANCE:
            led[number] = True
        if led[number]:
            lowest = block.level if block.kind == "heading" else 7
    return led


def without_emptied_headings(blocks: Sequence[Block], kept: Sequence[bool]) -> list[Block]:
    """The blocks that are kept, less the headings under which everything was dropped."""
    left: list[Block] = []
    deepest_with_content, dropped_below = 0, False
    for block, is_kept in zip(reversed(blocks), reversed(kept), strict=True):
        if block.kind != "heading":
            deepest_with_content = 7 if is_kept else deepest_with_content
            dropped_below = dropped_below or not is_kept
        elif dropped_below and deepest_with_content <= block.level:
            continue
        else:
            deepest_with_content, dropped_below = block.level, False
        if is_kept:
            left.append(block)
    return left[::-1]
