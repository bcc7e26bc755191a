"""The lexical index: BM25 over the same texts that models see (Lucene's variant, as Kamphuis et al. 2020 name it).

bm25s scores every posting when the index is built, so that a query only adds up columns. Its NumPy backend answers
in about a millisecond at 100,000 texts; its numba backend halves that and first compiles for ten seconds, which
neither a command nor a nightly run earns back.
"""

import json
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.errors import BundleError, UnknownName
from schemas.hashing import normalise
from warehouse.dense import Found
from warehouse.manifest import Parameters

LEXICAL_FOLDER = "lexical"
WORD = re.compile(r"\w\w+")


class Analyser:
    """Text to terms: words of two letters or more in lower case, without English stop words, stemmed.

    Args:
        stemmer: name of a Snowball stemmer, such as english.

    Raises:
        UnknownName: there is no such stemmer.
    """

    def __init__(self, stemmer: str) -> None:
        import Stemmer
        from bm25s.stopwords import STOPWORDS_EN

        try:
            self._stem = Stemmer.Stemmer(stemmer)
        except KeyError as error:
            raise UnknownName("stemmer", stemmer, Stemmer.algorithms()) from error
        self._stop_words = frozenset(STOPWORDS_EN)

    def terms(self, text: str) -> list[str]:
        """The terms of a text, in order and with repetitions."""
        words = WORD.findall(normalise(text).lower())
        return list(self._stem.stemWords([word for word in words if word not in self._stop_words]))


def write_lexical(folder: Path, texts: Iterable[str], parameters: Parameters) -> None:
    """Write a BM25 index over the texts. Terms are numbered in alphabetical order, so that the bytes never differ."""
    from bm25s import BM25

    analyser = Analyser(parameters.stemmer)
    documents = [analyser.terms(text) for text in texts]
    terms = sorted({term for document in documents for term in document})
    # The empty term stands in no document; bm25s needs at least one column.
    vocabulary = {term: number for number, term in enumerate([*terms, ""])}
    numbered = [[vocabulary[term] for term in document] for document in documents]
    bm25 = BM25(k1=parameters.k1, b=parameters.b, method="lucene", backend="numpy")
    bm25.index((numbered, vocabulary), show_progress=False)
    bm25.save(folder, show_progress=False)
    (folder / "vocab.index.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")


class LexicalIndex:
    """A BM25 index, memory-mapped.

    Raises:
        BundleError: bm25s cannot read the folder.
    """

    def __init__(self, folder: Path, parameters: Parameters) -> None:
        from bm25s import BM25

        try:
            self._bm25: Any = BM25.load(folder, mmap=True, show_progress=False)
        except (OSError, ValueError, KeyError) as error:
            raise BundleError("bm25s cannot read the index", where=str(folder)) from error
        self._stemmer = parameters.stemmer

    @property
    def size(self) -> int:
        """Texts in the index."""
        return int(self._bm25.scores["num_docs"])

    def search(self, query: str, k: int) -> Found:
        """The k texts with the highest BM25 score; texts that share no term with the query are left out."""
        known = self._bm25.get_tokens_ids(self._analyser.terms(query))
        scores = self._bm25.get_scores_from_ids(known)
        best = _best(scores, k)
        return Found(scores[best][np.newaxis], best[np.newaxis])

    @cached_property
    def _analyser(self) -> Analyser:
        return Analyser(self._stemmer)


def _best(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Positions of the k largest positive scores, largest first; equal scores in the order of their positions."""
    threshold = np.partition(scores, -k)[-k] if k < len(scores) else 0
    candidates = np.flatnonzero((scores >= threshold) & (scores > 0))
    order = np.lexsort((candidates, -scores[candidates]))
    return np.asarray(candidates[order][:k], dtype=np.int64)
