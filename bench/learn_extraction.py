"""Learn the classifiers of `tasks/extraction` from one half of the gold pages, and write them as JSON.

A block that holds a wanted segment is content, one that holds an unwanted segment is not; these count most.
What no segment speaks of is labelled by trafilatura, which knows more pages than anybody annotated.
"""

import math
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from bench.boosting import BoostingSettings, Reals, boost
from bench.gold_pages import GoldPage, Score, read_gold, squeezed
from tasks.extraction.agreement import kept_by_trafilatura
from tasks.extraction.blocks import Block
from tasks.extraction.content import MODEL_FILE, ContentModel, as_json
from tasks.extraction.features import Floats, Vocabulary, features, is_link, name_words, short_words
from tasks.extraction.markdown import render
from tasks.extraction.page import read_page

_FOLDS = 3
_GOLD_WEIGHT, _SILVER_WEIGHT, _DISPUTED_WEIGHT = 30.0, 1.0, 0.3
_LEAST_SITES = {"names": 5, "words": 8}
_LEAST_SCORE = {"names": 0.5, "words": 0.6}
_PRIOR_PAGES = 3.0
_THRESHOLDS = [round(0.05 * step, 2) for step in range(2, 19)]


@dataclass
class LabelledPage:
    """The blocks of a gold page with a label and a weight each."""

    gold: GoldPage
    blocks: list[Block]
    title: str
    kept_by_trafilatura: NDArray[np.bool_]
    labels: Reals
    weights: Reals

    @property
    def fold(self) -> int:
        """Pages of one site are in one fold."""
        return zlib.crc32(self.gold.site[::-1].encode()) % _FOLDS


def label(gold: GoldPage) -> LabelledPage:
    """Blocks of a page, labelled by its segments and by trafilatura."""
    page = read_page(gold.body, None)
    reference = kept_by_trafilatura(page.blocks, page.html)
    marked = [_label(block, gold, kept) for block, kept in zip(page.blocks, reference, strict=True)]
    labels, weights = np.array(marked, dtype=np.float64).reshape(-1, 2).T
    return LabelledPage(gold, page.blocks, page.title, np.array(reference, dtype=bool), labels, weights)


def _label(block: Block, gold: GoldPage, kept: bool) -> tuple[float, float]:
    text = squeezed(block.text)
    wanted = any(segment in text for segment in gold.wanted)
    unwanted = any(segment in text for segment in gold.unwanted)
    if wanted or unwanted:
        return float(wanted), _DISPUTED_WEIGHT if wanted and unwanted else _GOLD_WEIGHT
    return float(kept), _SILVER_WEIGHT


def learn_vocabulary(pages: Sequence[LabelledPage]) -> Vocabulary:
    """Log-odds of words in attributes and in short blocks, over pages, smoothed."""
    return Vocabulary(_scores(pages, "names", _names_around), _scores(pages, "words", lambda b: short_words(b.text)))


def _names_around(block: Block) -> set[str]:
    words: set[str] = set()
    element = block.element
    while element.parent is not None:
        words |= name_words(element.names)
        element = element.parent
    return words


def _scores(pages: Sequence[LabelledPage], kind: str, words_of: Callable[[Block], Collection[str]]) -> dict[str, float]:
    shares: dict[str, list[float]] = defaultdict(list)
    sites: dict[str, set[str]] = defaultdict(set)
    for page in pages:
        for word, labels in _labels_by_word(page, words_of).items():
            shares[word].append(float(np.mean(labels)))
            sites[word].add(page.gold.site)
    usual = float(np.mean([page.labels.mean() for page in pages]))
    scores = {
        word: _log_odds(values, usual) for word, values in shares.items() if len(sites[word]) >= _LEAST_SITES[kind]
    }
    return {word: round(score, 1) for word, score in sorted(scores.items()) if abs(score) >= _LEAST_SCORE[kind]}


def _labels_by_word(page: LabelledPage, words_of: Callable[[Block], Collection[str]]) -> dict[str, list[float]]:
    labels: dict[str, list[float]] = defaultdict(list)
    for block, value in zip(page.blocks, page.labels.tolist(), strict=True):
        for word in words_of(block):
            labels[word].append(value)
    return labels


def _log_odds(shares: Sequence[float], usual: float) -> float:
    content = sum(shares) + _PRIOR_PAGES * usual
    other = len(shares) - sum(shares) + _PRIOR_PAGES * (1 - usual)
    return math.log(content / other) - math.log(usual / (1 - usual))


def learn(pages: Sequence[LabelledPage]) -> ContentModel:
    """Fit a model. Words are scored without the pages that they then describe, lest they be believed too much."""
    rows, labels, weights = [], [], []
    for fold in range(_FOLDS):
        vocabulary = learn_vocabulary([page for page in pages if page.fold != fold])
        for page in pages:
            if page.fold == fold:
                asked = [number for number, block in enumerate(page.blocks) if not is_link(block)]
                rows.append(features(page.blocks, page.title, vocabulary)[asked])
                labels.append(page.labels[asked])
                weights.append(page.weights[asked])
    trees = boost(np.vstack(rows), np.concatenate(labels), np.concatenate(weights), BoostingSettings())
    return ContentModel(learn_vocabulary(pages), trees, threshold=0.5, agreed=0.5, disputed=0.5)


def with_thresholds(model: ContentModel, pages: Sequence[LabelledPage]) -> ContentModel:
    """The model with the thresholds that give the best F1 on pages that another one, like it, did not learn from."""
    chances = list(_held_out(pages))
    alone = [(threshold, threshold) for threshold in _THRESHOLDS]
    pairs = [(agreed, disputed) for agreed in _THRESHOLDS for disputed in _THRESHOLDS if agreed < disputed]
    threshold, _ = max(alone, key=lambda pair: _f1(chances, pair))
    agreed, disputed = max(pairs, key=lambda pair: _f1(chances, pair))
    typer.echo(f"F1 on pages not learned from: {_f1(chances, (threshold, threshold)):.4f} with {threshold} alone")
    typer.echo(f"F1 on pages not learned from: {_f1(chances, (agreed, disputed)):.4f} with {agreed} and {disputed}")
    return replace(model, threshold=threshold, agreed=agreed, disputed=disputed)


def _held_out(pages: Sequence[LabelledPage]) -> Iterator[tuple[LabelledPage, list[str], Floats]]:
    for fold in range(_FOLDS):
        model = learn([page for page in pages if page.fold != fold])
        for page in pages:
            if page.fold == fold:
                texts = [squeezed(render([block])) for block in page.blocks]
                yield page, texts, model.probabilities(page.blocks, page.title)


def _f1(held_out: Sequence[tuple[LabelledPage, list[str], Floats]], thresholds: tuple[float, float]) -> float:
    score = Score()
    for page, texts, chances in held_out:
        kept = chances > np.where(page.kept_by_trafilatura, *thresholds)
        score.add(page.gold, " ".join(compress(texts, kept.tolist())))
    return score.f1


def main(data: Annotated[Path, typer.Option(help="folder with evaldata.json and html.tar.gz")]) -> None:
    """Learn from the learning half and write the model file."""
    pages = [page for gold in read_gold(data) if gold.is_for_learning and (page := label(gold)).blocks]
    model = with_thresholds(learn(pages), pages)
    source = f"{len(pages)} pages of trafilatura's evaluation set: sites whose CRC-32 is even"
    MODEL_FILE.write_text(as_json(model, source), encoding="utf-8")
    typer.echo(f"{MODEL_FILE.name}: {MODEL_FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    typer.run(main)
