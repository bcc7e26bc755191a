"""Composing PromptPRF queries: the invariants of the method, whatever the texts."""

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.prf import Composed, compose

WORDS = st.text("abcdefgh", min_size=1, max_size=6)
TEXTS = st.lists(WORDS, max_size=6).map(" ".join)
QUERIES = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)
FEEDBACK = st.lists(TEXTS, max_size=5)


def words(text: str) -> int:
    return len(text.split())


def composed(query: str, feedback: list[str], *, positional: bool = True, budget: int = 1000) -> Composed:
    return compose(query, feedback, "keywords", positional=positional, budget=budget, count_tokens=words)


def test_one_labelled_line_per_rank() -> None:
    made = composed("sorted list", ["bisection", "", "heap queue"])

    assert made.text == ("sorted list\nkeywords for top-1 passage: bisection\nkeywords for top-3 passage: heap queue")
    assert (made.ranks, made.truncated) == ((1, 3), False)


def test_without_positions_no_label_tells_a_rank() -> None:
    made = composed("sorted list", ["bisection", "heap"], positional=False)

    assert made.text == "sorted list\nkeywords for a top passage: bisection\nkeywords for a top passage: heap"


# The query has 2 words, the labels 4 each.
@pytest.mark.parametrize(
    ("budget", "ranks", "last_words"),
    [
        (15, (1, 2), "four five"),
        (14, (1, 2), "four"),
        (13, (1,), "one two three"),
        (9, (1,), "one two three"),
        (8, (1,), "one two"),
        (6, (), "list"),
        (0, (), "list"),
    ],
)
def test_words_are_cut_from_the_last_rank_first(budget: int, ranks: tuple[int, ...], last_words: str) -> None:
    made = composed("sorted list", ["one two three", "four five"], budget=budget)

    assert made.ranks == ranks
    assert made.text.endswith(last_words)
    assert made.truncated == (budget < 15)


@given(QUERIES, FEEDBACK)
def test_no_feedback_is_exactly_the_query(query: str, feedback: list[str]) -> None:
    assert composed(query, []).text == query
    assert composed(query, [""] * len(feedback)).text == query


@given(QUERIES, FEEDBACK, st.booleans(), st.integers(0, 60))
def test_the_query_stays_whole_and_the_budget_holds(
    query: str, feedback: list[str], positional: bool, budget: int
) -> None:
    made = composed(query, feedback, positional=positional, budget=budget)

    assert made.text.split("\n")[0] == query
    assert words(made.text) <= max(budget, words(query))


@given(QUERIES, FEEDBACK, st.integers(0, 60))
def test_what_is_left_is_a_prefix_of_the_feedback(query: str, feedback: list[str], budget: int) -> None:
    every_word = [word for text in feedback for word in text.split()]

    lines = composed(query, feedback, budget=budget).text.split("\n")[1:]

    kept = [word for line in lines for word in line.partition(": ")[2].split()]
    assert kept == every_word[: len(kept)]


@given(QUERIES, st.lists(TEXTS.filter(bool), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_without_positions_the_order_of_the_passages_changes_only_the_order_of_the_lines(
    query: str, feedback: list[str], random: Random
) -> None:
    shuffled = list(feedback)
    random.shuffle(shuffled)

    first, second = (composed(query, texts, positional=False).text.split("\n") for texts in (feedback, shuffled))

    assert sorted(first) == sorted(second)


@given(QUERIES, st.lists(TEXTS.filter(bool), min_size=1, max_size=5))
def test_with_positions_the_labels_are_the_ranks(query: str, feedback: list[str]) -> None:
    made = composed(query, feedback)

    assert [int(rank) for rank in re.findall(r"top-(\d+)", made.text)] == list(range(1, len(feedback) + 1))


@given(QUERIES, FEEDBACK, st.integers(0, 200))
def test_the_budget_holds_for_counts_that_are_not_monotone(query: str, feedback: list[str], budget: int) -> None:
    def jumping(text: str) -> int:
        return len(text) - 3 * (len(text) % 2)

    made = compose(query, feedback, "keywords", positional=True, budget=budget, count_tokens=jumping)

    assert made.text == query or jumping(made.text) <= budget
