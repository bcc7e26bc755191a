"""The lexical index: BM25 over the same texts that models see (Lucene's variant, as Kamphuis et al. 2020 name it).

An inverted file keeps how often each term stands in each text, and scores are computed as a query is asked. bm25s, the
reference in tests and `bench/index.py`, writes finished scores, in which the mean length and the frequencies of terms
are baked: one new text would change every posting. Here a segment that is added, or a text that dies, changes a few
totals, and BM25 stays exactly what it would be in one piece.
"""

import json
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property, lru_cache
from math import log
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.errors import BundleError, UnknownName
from schemas.hashing import normalise
from warehouse.manifest import Parameters
from warehouse.postings import Queries, mapped, open_postings, write_postings
from warehouse.segments import Found, Texts

LEXICAL_FOLDER = "lexical"
VOCABULARY, LENGTHS = "vocabulary.json", "lengths.npy"
# What bm25s wrote, in bundles of format 1.
SCORED_VOCABULARY = "vocab.index.json"
SCORED_FILES = ("indptr.csc.index.npy", "indices.csc.index.npy", "data.csc.index.npy")
WORD = re.compile(r"\w\w+")
MOST_WORDS_REMEMBERED = 100_000
DEAD_TERMS = pa.schema([("segment", pa.int32()), ("column", pa.int32()), ("texts", pa.int32())])
MOST_REPETITIONS = np.iinfo(np.uint16).max


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


@cache
def analyser_of(stemmer: str) -> Analyser:
    """One for all indexes of a process, so that a word is stemmed once.

    Raises:
        UnknownName: there is no such stemmer.
    """
    return Analyser(stemmer)


def write_lexical(folder: Path, texts: Iterable[str], parameters: Parameters) -> None:
    """Write an inverted file over the texts. Terms are numbered as they come, so that the bytes follow from the texts.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    from scipy.sparse import coo_matrix

    analyser = analyser_of(parameters.stemmer)
    vocabulary: dict[str, int] = {}
    occurrences, lengths = array("i"), array("i")
    for text in texts:
        before = len(occurrences)
        occurrences.extend([vocabulary.setdefault(term, len(vocabulary)) for term in analyser.terms(text)])
        lengths.append(len(occurrences) - before)
    counts = np.frombuffer(lengths, np.int32)
    rows = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    ones = np.ones(len(occurrences), np.int32)
    columns = np.frombuffer(occurrences, np.int32)
    frequencies = coo_matrix((ones, (rows, columns)), (len(counts), len(vocabulary))).tocsc()
    frequencies.data = np.minimum(frequencies.data, MOST_REPETITIONS).astype(np.uint16)
    folder.mkdir(parents=True, exist_ok=True)
    write_postings(folder, frequencies)
    np.save(folder / LENGTHS, counts)
    (folder / VOCABULARY).write_text(json.dumps(list(vocabulary), ensure_ascii=False), encoding="utf-8")


class LexicalIndex:
    """A BM25 index, memory-mapped.

    Args:
        folder: of the first segment.
        later: folders of later segments.
        texts: of all segments; all of one segment, when left out.
        dead_terms: `segment`, `column` and `texts`: in how many dead texts of a segment each term stands.

    Attributes:
        dead: `dead_terms`.

    Raises:
        BundleError: a folder is not readable.
    """

    def __init__(
        self,
        folder: Path,
        parameters: Parameters,
        *,
        later: Sequence[Path] = (),
        texts: Texts | None = None,
        dead_terms: pa.Table | None = None,
    ) -> None:
        self._segments = [Segment(each) for each in (folder, *later)]
        self._texts = texts or Texts.whole(self.size)
        self._parameters = parameters
        self.dead = DEAD_TERMS.empty_table() if dead_terms is None else dead_terms
        for row in self.dead.to_pylist():
            self._segments[row["segment"]].forget(row["column"], row["texts"])

    @property
    def size(self) -> int:
        """Texts in the index, dead ones among them."""
        return sum(len(segment.lengths) for segment in self._segments)

    def search(self, query: str, k: int) -> Found:
        """The k texts with the highest BM25 score; texts that share no term with the query are left out."""
        return self.search_many([query], k)[0]

    def search_many(self, queries: Sequence[str], k: int) -> list[Found]:
        """As `search`, for many queries at once."""
        return self.search_terms_many([Counter(self.terms(query)) for query in queries], k)

    def search_terms(self, weights: Mapping[str, float], k: int) -> Found:
        """The k texts with the highest sum of weight x BM25 score over the terms; terms unknown to the index add 0.

        Args:
            weights: by term, as `terms` gives them; a query's own are how often it has each.
        """
        return self.search_terms_many([weights], k)[0]

    def search_terms_many(self, queries: Sequence[Mapping[str, float]], k: int) -> list[Found]:
        """As `search_terms`, for many queries at once."""
        weighed = [{term: weight * self._rarity(term) for term, weight in query.items()} for query in queries]
        alive = self._texts.alive_by_segment
        found = [
            segment.search(weighed, norms, here, k)
            for segment, norms, here in zip(self._segments, self._norms, alive, strict=True)
        ]
        return self._texts.best(found, k).each()

    def terms(self, text: str) -> list[str]:
        """The terms of a text, in order and with repetitions, as the index holds them."""
        return analyser_of(self._parameters.stemmer).terms(text)

    def terms_of(self, segment: int, texts: Iterable[str]) -> pa.Table:
        """In how many of some texts of a segment each term stands: `segment`, `column` and `texts`."""
        counts = Counter(term for text in texts for term in set(self.terms(text)))
        columns = sorted((self._segments[segment].vocabulary[term], count) for term, count in counts.items())
        rows = [{"segment": segment, "column": column, "texts": count} for column, count in columns]
        return pa.Table.from_pylist(rows, schema=DEAD_TERMS)

    def _rarity(self, term: str) -> float:
        """Inverse document frequency: ln(1 + (N - n + 0.5) / (n + 0.5)) of a term in n of N living texts."""
        living, having = self._texts.living, sum(segment.frequency(term) for segment in self._segments)
        return log(1 + (living - having + 0.5) / (having + 0.5))

    @cached_property
    def _norms(self) -> list[NDArray[np.float32]]:
        """k1 x (1 - b + b x length / mean length) of every text, by segment."""
        lengths, alive = [segment.lengths for segment in self._segments], self._texts.alive_by_segment
        terms = sum(int(held[here].sum()) for held, here in zip(lengths, alive, strict=True))
        mean = terms / self._texts.living if terms else 1.0
        k1, b = self._parameters.k1, self._parameters.b
        return [(k1 * (1 - b + b * (held / mean))).astype(np.float32) for held in lengths]


class Segment:
    """The inverted file of one segment.

    Raises:
        BundleError: the folder is not readable.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._lists = open_postings(folder)
            self.lengths: NDArray[np.int32] = mapped(folder / LENGTHS)
            terms = json.loads((folder / VOCABULARY).read_bytes())
        except (OSError, ValueError) as error:
            raise BundleError("the lexical index is not readable", where=str(folder)) from error
        self.vocabulary: dict[str, int] = {term: column for column, term in enumerate(terms)}
        self._dead: dict[int, int] = {}

    def forget(self, column: int, texts: int) -> None:
        """Count a term in so many texts fewer."""
        self._dead[column] = texts

    def frequency(self, term: str) -> int:
        """Living texts that have the term."""
        column = self.vocabulary.get(term)
        return 0 if column is None else self._lists.length(column) - self._dead.get(column, 0)

    def search(
        self, queries: Sequence[Mapping[str, float]], norms: NDArray[np.float32], alive: NDArray[np.bool_], k: int
    ) -> Found:
        """The k best texts for each query, as `Postings.saturated` finds them."""
        return self._lists.saturated(_in_columns(queries, self.vocabulary), norms, alive, min(k, len(alive)))


class ScoredIndex(LexicalIndex):
    """An index of finished scores, as bm25s wrote it for bundles of format 1.

    Raises:
        BundleError: the folder is not readable.
    """

    def __init__(self, folder: Path, parameters: Parameters, texts: int) -> None:
        try:
            self._scores = open_postings(folder, SCORED_FILES)
            self._vocabulary: dict[str, int] = json.loads((folder / SCORED_VOCABULARY).read_bytes())
        except (OSError, ValueError) as error:
            raise BundleError("the lexical index is not readable", where=str(folder)) from error
        self._parameters = parameters
        self._texts = Texts.whole(texts)

    @property
    def size(self) -> int:
        """Texts in the index."""
        return self._texts.living

    def search_terms_many(self, queries: Sequence[Mapping[str, float]], k: int) -> list[Found]:
        """As `LexicalIndex.search_terms_many`."""
        columns = _in_columns(queries, self._vocabulary)
        return self._scores.plain(columns, self._texts.alive, min(k, self.size)).each()


def _in_columns(queries: Sequence[Mapping[str, float]], vocabulary: Mapping[str, int]) -> Queries:
    """Queries over the columns of those of their terms that are in a vocabulary."""
    known = [[(vocabulary[term], weight) for term, weight in query.items() if term in vocabulary] for query in queries]
    return Queries.of([([column for column, _ in terms], [weight for _, weight in terms]) for terms in known])
