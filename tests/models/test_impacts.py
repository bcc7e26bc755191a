"""Sparse vectors from logits, against values by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.impacts import content_words, impacts, token_ids

LOGITS = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=300).map(lambda each: np.array(each, np.float32))


def test_a_logit_of_three_weighs_139_and_a_negative_one_nothing() -> None:
    logits = np.array([3, -1, 0, 0.001, 0.5, 7], np.float32)

    # round(100 ln 4), round(100 ln 1.5); 100 ln 1.001 rounds to 0. The best id is not allowed.
    assert impacts(logits, [0, 1, 2, 3, 4]) == {0: 139, 4: 41}
    assert impacts(logits, [1]) == {}


def test_without_an_allowed_id_the_ten_best_of_the_vocabulary_stand_in() -> None:
    logits = np.arange(-5, 20, dtype=np.float32)

    assert list(impacts(logits, [])) == list(range(24, 14, -1))


def test_at_most_128_ids_and_of_equal_logits_the_first() -> None:
    made = impacts(np.ones(500, np.float32), range(100, 400))

    assert list(made) == list(range(100, 228))
    assert set(made.values()) == {69}


@given(LOGITS, st.sets(st.integers(0, 299)))
def test_weights_are_whole_positive_and_of_allowed_ids(logits: np.ndarray, chosen: set[int]) -> None:
    allowed = sorted(each for each in chosen if each < len(logits))

    made = impacts(logits, allowed)

    assert all(isinstance(weight, int) and weight > 0 for weight in made.values())
    assert list(made.values()) == sorted(made.values(), reverse=True)
    assert set(made) <= set(allowed or range(len(logits)))
    for number, weight in made.items():
        assert weight == pytest.approx(100 * np.log(1 + float(logits[number])), abs=0.5 + 1e-4)
    left_out = set(allowed) - set(made)
    assert len(made) == 128 or all(100 * np.log1p(max(0, float(logits[each]))) <= 0.5 + 1e-4 for each in left_out)


def test_words_are_lower_case_distinct_and_no_stop_words_or_punctuation() -> None:
    text = "The Heap-queue doesn't WAIT: heap_queue, 3 heaps! (\u00dcber-heap) of the"

    assert content_words(text) == ["heap", "queue", "wait", "3", "heaps", "\u00fcber"]
    assert content_words("To be, or not to be?!") == []


def test_ids_are_those_of_all_the_words() -> None:
    assert token_ids(["ab", "b"], lambda word: [ord(letter) for letter in word]) == [97, 98]
    assert token_ids([], lambda _: [1]) == []
