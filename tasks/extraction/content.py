"""Which blocks are a page's content: a learned classifier, kept as a readable file of numbers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.extraction.agreement import kept_by_trafilatura
from tasks.extraction.blocks import Block, Element
from tasks.extraction.completion import completed
from tasks.extraction.features import NAMES, Floats, Vocabulary, features, is_link
from tasks.extraction.page import Page

_SHORT_PAGE = 8
MODEL_FILE = Path(__file__).with_name("content_model.json")


@dataclass(frozen=True)
class ObliviousTrees:
    """Gradient-boosted oblivious trees (as in CatBoost, arXiv 1706.09516): every level asks one question.

    So a tree of depth d is d thresholds and 2^d values, and all trees of all rows are one comparison.

    Attributes:
        columns: (trees, depth) column that each level looks at.
        thresholds: (trees, depth) it asks whether the value is above.
        leaves: (trees, 2^depth) what the tree adds to the log-odds.
    """

    bias: float
    columns: NDArray[np.int64]
    thresholds: Floats
    leaves: Floats

    def probabilities(self, rows: Floats) -> Floats:
        """One probability a row."""
        trees, depth = self.columns.shape
        above = rows[:, self.columns.ravel()] > self.thresholds.ravel()
        places = 1 << np.arange(depth)[::-1]
        leaf = above.reshape(len(rows), trees, depth) @ places
        log_odds = self.bias + self.leaves[np.arange(trees), leaf].sum(axis=1)
        chances: Floats = 1 / (1 + np.exp(-log_odds))
        return chances


@dataclass(frozen=True)
class ContentModel:
    """A classifier of blocks.

    Attributes:
        threshold: probability above which a block is content.
        agreed: the same for a block that a second extractor has kept.
        disputed: the same for a block that it has dropped.
    """

    vocabulary: Vocabulary
    trees: ObliviousTrees
    threshold: float
    agreed: float
    disputed: float

    def probabilities(self, blocks: Sequence[Block], title: str) -> Floats:
        """How likely each block is content; 0 for blocks that are nothing but links.

        Args:
            blocks: all of a page's, in order.
            title: of the page, from its head.
        """
        chances = np.zeros(len(blocks), dtype=np.float32)
        open_questions = [number for number, block in enumerate(blocks) if not is_link(block)]
        if open_questions:
            rows = features(blocks, title, self.vocabulary)[open_questions]
            chances[open_questions] = self.trees.probabilities(rows)
        return chances


def as_json(model: ContentModel, learned_from: str) -> str:
    """The model as a file for people to read: one line a tree, columns by name."""
    trees = model.trees
    lines = [
        json.dumps({"columns": [NAMES[column] for column in columns], "above": above, "leaves": leaves})
        for columns, above, leaves in zip(
            trees.columns.tolist(), _rounded(trees.thresholds), _rounded(trees.leaves), strict=True
        )
    ]
    thresholds = {"threshold": model.threshold, "agreed": model.agreed, "disputed": model.disputed}
    head = {"learned_from": learned_from, **thresholds, "bias": round(trees.bias, 4)}
    words = {"names": dict(model.vocabulary.names), "words": dict(model.vocabulary.words)}
    opening = json.dumps(head | words, ensure_ascii=False, indent=0)[:-2]
    return opening + ',\n"trees": [\n' + ",\n".join(lines) + "\n]\n}\n"


def _rounded(values: Floats) -> list[list[float]]:
    return [[float(f"{value:.4g}") for value in row] for row in values.tolist()]


def from_json(text: str) -> ContentModel:
    """A model from what `as_json` wrote."""
    content: dict[str, Any] = json.loads(text)
    numbers = {name: number for number, name in enumerate(NAMES)}
    trees = ObliviousTrees(
        content["bias"],
        np.array([[numbers[name] for name in tree["columns"]] for tree in content["trees"]]),
        np.array([tree["above"] for tree in content["trees"]], dtype=np.float32),
        np.array([tree["leaves"] for tree in content["trees"]], dtype=np.float32),
    )
    thresholds = [content[name] for name in ("threshold", "agreed", "disputed")]
    return ContentModel(Vocabulary(content["names"], content["words"]), trees, *thresholds)


@cache
def shipped_model() -> ContentModel:
    """The model in `content_model.json`, which `bench/learn_extraction.py` writes."""
    return from_json(MODEL_FILE.read_text(encoding="utf-8"))


def main_content(page: Page, *, careful: bool = False) -> list[Block]:
    """Blocks of a page that are its content; all of them where nothing else is left.

    Args:
        careful: ask trafilatura as well, which takes several times as long.
    """
    if not page.blocks:
        return []
    model = shipped_model()
    chances = model.probabilities(page.blocks, page.title)
    if careful:
        agreed = kept_by_trafilatura(page.blocks, page.html)
        content = chances > np.where(agreed, model.agreed, model.disputed)
    else:
        content = chances > model.threshold
    kept = completed(page.blocks, chances, content | _all_of_a_short_page(page.blocks))
    return kept if any(block.kind != "heading" for block in kept) else page.blocks


def _all_of_a_short_page(blocks: Sequence[Block]) -> NDArray[np.bool_]:
    """All that is not navigation, on a page too short for a classifier to see a pattern in."""
    if len(blocks) > _SHORT_PAGE:
        return np.zeros(len(blocks), dtype=bool)
    plain = [3 * block.link_characters <= 2 * len(block.text) for block in blocks]
    return np.array(
        [is_plain and not _is_in_navigation(block.element) for block, is_plain in zip(blocks, plain, strict=True)]
    )


def _is_in_navigation(element: Element | None) -> bool:
    while element is not None:
        if element.tag in ("nav", "footer"):
            return True
        element = element.parent
    return False
