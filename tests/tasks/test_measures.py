"""Measures by hand, and their significance."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import UnknownName
from tasks.measures import Measurer, compare, holm, paired_p

QRELS = {"q1": {"a": 2, "b": 1}, "q2": {"c": 1}}
PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def test_values_by_hand() -> None:
    measure = Measurer(["nDCG@10", "RR@10", "AP", "R@1"], QRELS)
    values = measure({"q1": [("b", 3.0), ("x", 2.0), ("a", 1.0)], "q2": []})
    gained, ideal = 1 + 2 / math.log2(4), 2 + 1 / math.log2(3)
    assert values["q1", "nDCG@10"] == pytest.approx(gained / ideal, abs=1e-9)
    assert values["q1", "RR@10"] == 1
    assert values["q1", "AP"] == pytest.approx((1 + 2 / 3) / 2)
    assert values["q1", "R@1"] == 0.5
    assert [values["q2", name] for name in ("nDCG@10", "RR@10", "AP", "R@1")] == [0, 0, 0, 0]


def test_an_unknown_measure_is_named() -> None:
    with pytest.raises(UnknownName, match="'nDGC@10'"):
        Measurer(["nDGC@10"], QRELS)


def test_paired_t_test_by_hand() -> None:
    # Differences 1, 2, 3: mean 2, standard error 1/sqrt(3), t = 3.4641 with 2 degrees of freedom.
    t = 2 * math.sqrt(3)
    by_hand = 1 - t / math.sqrt(t * t + 2)
    assert paired_p([0, 0, 0], [1, 2, 3]) == pytest.approx(by_hand)
    assert paired_p([0.1, 0.2], [0.1, 0.2]) == 1
    assert paired_p([0.1], [0.2]) == 1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.6]) == [1, 1]
    assert holm([]) == []


@given(PROBABILITIES)
def test_holm_lowers_no_p_value_and_gives_the_smallest_what_bonferroni_does(p_values: list[float]) -> None:
    for raw, corrected in zip(p_values, holm(p_values), strict=True):
        assert raw <= corrected <= 1
    assert min(holm(p_values)) == pytest.approx(min(1, min(p_values) * len(p_values)))


def test_compare_is_against_the_baseline_and_corrected_over_all_others() -> None:
    found = compare([0.1, 0.2, 0.4], {"same": [0.1, 0.2, 0.4], "better": [0.3, 0.5, 0.5]})
    assert (found["same"].difference, found["same"].p, found["same"].corrected) == (0, 1, 1)
    assert found["better"].difference == pytest.approx(0.2)
    assert found["better"].corrected == pytest.approx(2 * found["better"].p)
