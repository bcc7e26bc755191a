"""The lexical index: BM25 over the same texts that models see (Lucene's variant, as Kamphuis et al. 2020 name it).

bm25s scores every posting when the index is built, so that a query only adds up columns. Its NumPy backend answers
in about a millisecond at 100,000 texts; its numba backend halves that and first compiles for ten seconds, which
neither a command nor a nightly run earns back.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
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
MOST_WORDS_REMEMBERED = 100_000


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
        self._term = lru_cache(MOST_WORDS_REMEMBERED)(self._new_term)

    def terms(self, text: str) -> list[str]:
        """The terms of a text, in order and with repetitions."""
        words = WORD.findall(normalise(text).lower())
        return [term for word in words if (term := self._term(word))]

    def _new_term(self, word: str) -> str:
        """The word's stem, empty for a stop word."""
        return "" if word in self._stop_words else str(self._stem.stemWord(word))


def write_lexical(folder: Path, texts: Iterable[str], parameters: Parameters) -> None:
    """Write a BM25 index over the texts. Terms are numbered as they come, so that the bytes follow from the texts."""
    from bm25s import BM25

    analyser = Analyser(parameters.stemmer)
    vocabulary: dict[str, int] = {}
    documents = [[vocabulary.setdefault(term, len(vocabulary)) for term in analyser.terms(text)] for text in texts]
    # The empty term stands in no document: bm25s needs at least one column.
    vocabulary[""] = len(vocabulary)
    bm25 = BM25(k1=parameters.k1, b=parameters.b, method="lucene", backend="numpy", csc_backend="scipy")
    with np.errstate(invalid="ignore"):  # the mean length may be 0, where no text has a term
        bm25.index((documents, vocabulary), show_progress=False)
    bm25.save(folder, show_progress=False)
    # bm25s writes the vocabulary with orjson where that is installed, in other bytes than without.
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
        return self.search_terms(Counter(self.terms(query)), k)

    def search_terms(self, weights: Mapping[str, float], k: int) -> Found:
        """The k texts with the highest sum of weight x BM25 score over the terms; terms unknown to the index add 0.

        Args:
            weights: by term, as `terms` gives them; a query's own are how often it has each.
        """
        held, vocabulary = self._bm25.scores, self._bm25.vocab_dict
        scores = np.zeros(self.size, np.float32)
        for term, weight in weights.items():
            if (column := vocabulary.get(term)) is not None:
                postings = slice(held["indptr"][column], held["indptr"][column + 1])
                scores[held["indices"][postings]] += np.float32(weight) * held["data"][postings]
        best = best_positions(scores, k)
        return Found(scores[best][np.newaxis], best[np.newaxis])

    def terms(self, text: str) -> list[str]:
        """The terms of a text, in order and with repetitions, as the index holds them."""
        return self._analyser.terms(text)

    @cached_property
    def _analyser(self) -> Analyser:
        return Analyser(self._stemmer)


def best_positions(scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Positions of the k largest positive scores, largest first; equal scores in the order of their positions."""
    threshold = np.partition(scores, -k)[-k] if k < len(scores) else 0
    candidates = np.flatnonzero((scores >= threshold) & (scores > 0))
    order = np.lexsort((candidates, -scores[candidates]))
    return np.asarray(candidates[order][:k], dtype=np.int64)
