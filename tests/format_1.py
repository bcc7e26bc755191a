"""Bundles as Nightjar wrote them before it kept frequencies of terms: bm25s' finished scores, and no more parts."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bm25s import BM25

from warehouse.lexical import Analyser
from warehouse.manifest import Parameters


def write_scored(folder: Path, texts: Sequence[str], parameters: Parameters) -> None:
    """A lexical index of format 1."""
    bm25, vocabulary = scored(texts, parameters)
    bm25.save(folder, show_progress=False)
    (folder / "vocab.index.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")


def scored(texts: Sequence[str], parameters: Parameters) -> tuple[BM25, dict[str, int]]:
    """bm25s over the terms of the texts, and the number of each term."""
    analyser = Analyser(parameters.stemmer)
    vocabulary: dict[str, int] = {}
    documents = [[vocabulary.setdefault(term, len(vocabulary)) for term in analyser.terms(text)] for text in texts]
    vocabulary[""] = len(vocabulary)
    bm25 = BM25(k1=parameters.k1, b=parameters.b, method="lucene", backend="numpy", csc_backend="scipy")
    with np.errstate(invalid="ignore"):  # the mean length may be 0, where no text has a term
        bm25.index((documents, vocabulary), show_progress=False)
    return bm25, vocabulary
