"""Query expansion, against values by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.lexical_feedback import feature_expansion, plain_query, relevance_model
from warehouse.lexical import LexicalIndex, write_lexical
from warehouse.manifest import Parameters

TERMS = st.lists(st.sampled_from("abcdefgh"), max_size=8)
TEXTS = ["heap heap queue", "queue of sockets", "socket timeouts", "sorted lists and heaps", "queue queue queue"]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder = tmp_path_factory.mktemp("lexical")
    write_lexical(folder, TEXTS, Parameters())
    return LexicalIndex(folder, Parameters())


def test_a_relevance_model_by_hand() -> None:
    # Shares of the passages: a 1/2, b 1/2 at score 3; b 3/4, c 1/4 at score 1. Sums: a 1.5, b 2.25, c 0.25.
    weights = relevance_model(["a", "d"], [["a", "b"], ["b", "b", "c", "b"]], [3, 1], terms=2, query_weight=0.6)

    # The two strongest, scaled: a 0.4, b 0.6; the query, scaled: a 0.5, d 0.5.
    assert weights == pytest.approx({"a": 0.6 * 0.5 + 0.4 * 0.4, "d": 0.6 * 0.5, "b": 0.4 * 0.6})


def test_a_feature_expansion_by_hand() -> None:
    weights = feature_expansion(["a"], [["b", "c"], [], ["b", "a"]], terms=2)

    # Counts: b 2, a 1, c 1; of equal ones the first in the alphabet stays.
    assert weights == pytest.approx({"a": 0.5 + 0.5 / 3, "b": 0.5 * 2 / 3})


def test_scores_and_passages_go_together() -> None:
    with pytest.raises(ValueError, match="zip"):
        relevance_model(["a"], [["a"]], [1, 2])


@given(TERMS)
def test_without_feedback_it_is_the_plain_query(query: list[str]) -> None:
    plain = {term: query.count(term) for term in query}

    assert plain_query(query) == plain
    assert relevance_model(query, [], []) == plain
    assert relevance_model(query, [[], []], [2, 1]) == plain
    assert feature_expansion(query, []) == plain
    assert feature_expansion(query, [[], []]) == plain


@given(TERMS.filter(bool), st.lists(TERMS.filter(bool), min_size=1, max_size=4), st.integers(1, 9), st.floats(0.1, 0.9))
def test_weights_sum_to_one_and_the_query_keeps_its_share(
    query: list[str], passages: list[list[str]], terms: int, share: float
) -> None:
    scores = [float(len(passages) - rank) for rank in range(len(passages))]

    for weights in (
        relevance_model(query, passages, scores, terms=terms, query_weight=share),
        feature_expansion(query, passages, terms=terms, query_weight=share),
    ):
        assert sum(weights.values()) == pytest.approx(1)
        assert sum(weights[term] for term in set(query)) >= share - 1e-9
        assert len(set(weights) - set(query)) <= terms


@given(TERMS, st.lists(TERMS, max_size=4))
def test_the_query_alone_counts_where_it_has_all_the_weight(query: list[str], passages: list[list[str]]) -> None:
    weights = feature_expansion(query or ["a"], passages, query_weight=1)

    assert all(weight == 0 for term, weight in weights.items() if term not in (query or ["a"]))


@pytest.mark.parametrize("query", ["heap queue", "queue queue heaps", "xylophone", ""])
def test_the_plain_query_finds_what_a_search_finds(index: LexicalIndex, query: str) -> None:
    found, plain = index.search(query, 5), index.search_terms(plain_query(index.terms(query)), 5)

    assert found.numbers.tolist() == plain.numbers.tolist()
    assert found.scores.tolist() == plain.scores.tolist()


def test_feedback_finds_texts_that_share_no_word_with_the_query(index: LexicalIndex) -> None:
    query = index.terms("timeouts")
    first = index.search("timeouts", 2)
    passages = [index.terms(TEXTS[number]) for number in first.numbers[0]]

    again = index.search_terms(relevance_model(query, passages, first.scores[0].tolist()), 5)

    assert first.numbers[0].tolist() == [2]
    assert again.numbers[0].tolist() == [2, 1], "the second has only socket, a term of the first"
