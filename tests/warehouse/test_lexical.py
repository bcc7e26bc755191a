"""The lexical index, against BM25 computed by hand."""

import tempfile
from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import BundleError, UnknownName
from tests.format_1 import scored, write_scored
from warehouse.lexical import Analyser, LexicalIndex, ScoredIndex, write_lexical
from warehouse.manifest import Parameters

WORDS = ("heap", "heaps", "queue", "sorted", "list", "socket", "the")
WORDS_ASKED = st.lists(st.sampled_from((*WORDS, "xylophone")), max_size=4)
TEXTS = ["Heaps and more heaps", "A heap of sorted lists", "Sockets"]


@pytest.fixture
def index(tmp_path: Path) -> LexicalIndex:
    write_lexical(tmp_path, TEXTS, Parameters())
    return LexicalIndex(tmp_path, Parameters())


def bm25(frequency: int, length: int, documents_with: int) -> float:
    """Lucene's BM25 with k1 1.5 and b 0.75 over three documents of mean length 7 / 3."""
    rarity = log(1 + (3 - documents_with + 0.5) / (documents_with + 0.5))
    return rarity * frequency / (frequency + 1.5 * (0.25 + 0.75 * length / (7 / 3)))


def test_scores_are_those_of_the_formula(index: LexicalIndex) -> None:
    found = index.search("heap sorting", 10)

    # "Heaps and more heaps" has the terms heap, more, heap; "A heap of sorted lists" has heap, sort, list.
    expected = {1: bm25(1, 3, 2) + bm25(1, 3, 1), 0: bm25(2, 3, 2)}
    assert found.numbers[0].tolist() == list(expected)
    assert found.scores[0].tolist() == pytest.approx(list(expected.values()), rel=1e-5)


def test_a_term_that_the_query_repeats_counts_twice(index: LexicalIndex) -> None:
    once, twice = index.search("socket", 1), index.search("socket sockets", 1)

    assert twice.scores[0, 0] == pytest.approx(2 * once.scores[0, 0])


def test_weighted_terms_add_up_weighted(index: LexicalIndex) -> None:
    found = index.search_terms({"heap": 0.5, "sort": 2, "xylophon": 9}, 10)

    expected = {1: 0.5 * bm25(1, 3, 2) + 2 * bm25(1, 3, 1), 0: 0.5 * bm25(2, 3, 2)}
    assert found.numbers[0].tolist() == list(expected)
    assert found.scores[0].tolist() == pytest.approx(list(expected.values()), rel=1e-5)


def test_terms_are_those_that_the_index_holds(index: LexicalIndex) -> None:
    assert index.terms("A heap of the heaps, sorted") == ["heap", "heap", "sort"]


@pytest.mark.parametrize("query", ["", "of the", "xylophone", "!?"])
def test_a_query_without_a_known_term_finds_nothing(index: LexicalIndex, query: str) -> None:
    assert index.search(query, 5).numbers.shape == (1, 0)


def test_equal_scores_stand_in_the_order_of_the_texts(tmp_path: Path) -> None:
    write_lexical(tmp_path, ["queue"] * 20 + ["stack"], Parameters())

    assert LexicalIndex(tmp_path, Parameters()).search("queue", 5).numbers[0].tolist() == [0, 1, 2, 3, 4]


def test_texts_without_a_term_are_indexed_all_the_same(tmp_path: Path) -> None:
    write_lexical(tmp_path, ["!", "?"], Parameters())
    index = LexicalIndex(tmp_path, Parameters())

    assert index.size == 2
    assert index.search("anything", 2).numbers.shape == (1, 0)


def test_the_vocabulary_is_the_same_in_every_spelling_of_a_letter() -> None:
    analyser = Analyser("english")

    assert analyser.terms("caf\u00e9") == analyser.terms("CAFE\u0301")


def test_an_unknown_stemmer_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"unknown stemmer 'klingon'\. Known: .*english"):
        write_lexical(tmp_path, TEXTS, Parameters(stemmer="klingon"))


def test_a_damaged_index_is_refused(tmp_path: Path) -> None:
    write_lexical(tmp_path, TEXTS, Parameters())
    (tmp_path / "values.npy").write_bytes(np.random.default_rng(0).bytes(64))

    with pytest.raises(BundleError, match="the lexical index is not readable"):
        LexicalIndex(tmp_path, Parameters())


def test_files_of_two_indexes_are_refused(tmp_path: Path) -> None:
    write_lexical(tmp_path / "one", TEXTS, Parameters())
    write_lexical(tmp_path / "other", TEXTS[:2], Parameters())
    (tmp_path / "other" / "texts.npy").replace(tmp_path / "one" / "texts.npy")

    with pytest.raises(BundleError, match="the lexical index is not readable"):
        LexicalIndex(tmp_path / "one", Parameters())


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=12), min_size=1, max_size=30), st.lists(WORDS_ASKED))
@settings(deadline=None, max_examples=40)
def test_bm25s_finds_the_same_and_a_batch_what_each_query_finds(texts: list[list[str]], asked: list[list[str]]) -> None:
    passages, queries = [" ".join(text) for text in texts], [" ".join(words) for words in asked]
    reference, vocabulary = scored(passages, Parameters())
    with tempfile.TemporaryDirectory() as folder:
        write_lexical(Path(folder), passages, Parameters())
        index = LexicalIndex(Path(folder), Parameters())

        for query, found in zip(queries, index.search_many(queries, 5), strict=True):
            known = [vocabulary[term] for term in index.terms(query) if term in vocabulary]
            scores = reference.get_scores_from_ids(known) if known else np.zeros(len(texts), np.float32)
            assert found.scores[0] == pytest.approx(np.sort(scores[scores > 0])[::-1][:5], rel=1e-4)
            assert found.scores[0] == pytest.approx(scores[found.numbers[0]], rel=1e-4)
            alone = index.search(query, 5)
            assert np.array_equal(alone.numbers, found.numbers)
            assert np.array_equal(alone.scores, found.scores)


def test_the_finished_scores_of_format_1_are_still_searched(tmp_path: Path, index: LexicalIndex) -> None:
    write_scored(tmp_path / "scored", TEXTS, Parameters())
    old = ScoredIndex(tmp_path / "scored", Parameters(), len(TEXTS))

    for query in ("heap sorting", "socket sockets", "xylophone"):
        then, now = old.search(query, 2), index.search(query, 2)
        assert np.array_equal(then.numbers, now.numbers)
        assert then.scores == pytest.approx(now.scores, rel=1e-5)
