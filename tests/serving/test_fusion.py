"""Fusion, against values by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import NightjarError
from serving.fusion import Fusion, reciprocal_rank_fusion, weighted_min_max

SCORED = st.dictionaries(st.integers(0, 9), st.integers(-50, 50), max_size=6).map(
    lambda scores: sorted(((item, float(score)) for item, score in scores.items()), key=lambda scored: -scored[1])
)


def test_sums_of_reciprocal_ranks() -> None:
    fused = reciprocal_rank_fusion([[7, 8], [8, 9]])

    assert [item for item, _ in fused] == [8, 7, 9]
    assert [score for _, score in fused] == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62])


def test_equal_sums_stand_in_the_order_of_the_items() -> None:
    assert [item for item, _ in reciprocal_rank_fusion([[5, 1], [1, 5]])] == [1, 5]


def test_no_lists_fuse_to_nothing() -> None:
    assert reciprocal_rank_fusion([]) == []
    assert reciprocal_rank_fusion([[], []]) == []


def test_scaled_scores_are_weighted_and_a_missing_item_gives_nothing() -> None:
    lists = [[("a", 10.0), ("b", 0.0)], [("b", 4.0), ("c", 2.0)]]

    assert weighted_min_max(lists, [0.5, 0.5]) == [("a", 0.5), ("b", 0.5), ("c", 0.0)]
    assert weighted_min_max(lists, [0.2, 0.8]) == [("b", 0.8), ("a", 0.2), ("c", 0.0)]


def test_a_list_of_equal_scores_gives_nothing() -> None:
    assert weighted_min_max([[(1, 3.0)], [(2, 5.0), (3, 1.0)]], [0.5, 0.5]) == [(2, 0.5), (1, 0.0), (3, 0.0)]


def test_as_many_weights_as_lists() -> None:
    with pytest.raises(ValueError, match="zip"):
        weighted_min_max([[(1, 1.0)]], [0.5, 0.5])


@given(SCORED, SCORED, st.floats(0, 1))
def test_sums_lie_between_nothing_and_all_and_scale_does_not_matter(
    first: list[tuple[int, float]], second: list[tuple[int, float]], weight: float
) -> None:
    weights = [weight, 1 - weight]

    fused = weighted_min_max([first, second], weights)

    assert {item for item, _ in fused} == {item for item, _ in [*first, *second]}
    assert all(0 <= score <= 1 + 1e-9 for _, score in fused)
    moved = [(item, 8 * score + 16) for item, score in first]
    assert weighted_min_max([moved, second], weights) == fused
    assert weighted_min_max([second, first], weights[::-1]) == fused


def test_a_fusion_does_what_its_method_does() -> None:
    rankings = [[(7, 9.0), (8, 1.0)], [(8, 3.0), (9, 2.0)], [(9, 5.0), (7, 4.0)]]

    assert Fusion(("dense", "sparse"))(rankings[:2]) == reciprocal_rank_fusion([[7, 8], [8, 9]])
    assert Fusion(("dense", "lexical", "sparse"), "min-max", (0.5, 0.25, 0.25))(rankings) == [
        (7, 0.5),
        (8, 0.25),
        (9, 0.25),
    ]
    assert Fusion(method="min-max")(rankings[:2]) == weighted_min_max(rankings[:2], [0.5, 0.5])


@pytest.mark.parametrize(
    ("parts", "method", "weights", "told"),
    [
        (("dense", "visual"), "rrf", (), "unknown part 'visual'"),
        (("dense", "lexical"), "sum", (), "unknown fusion 'sum'"),
        (("dense",), "rrf", (), "fuses at least two different parts, not dense"),
        (("dense", "dense"), "rrf", (), "fuses at least two different parts, not dense, dense"),
        (("dense", "lexical"), "rrf", (0.5, 0.5), "takes no weights"),
        (("dense", "lexical"), "min-max", (0.5,), "1 weights for 2 parts"),
        (("dense", "lexical"), "min-max", (0.5, -1), "2 weights for 2 parts"),
    ],
)
def test_a_fusion_that_cannot_be_is_refused(
    parts: tuple[str, ...], method: str, weights: tuple[float, ...], told: str
) -> None:
    with pytest.raises(NightjarError, match=told):
        Fusion(parts, method, weights)
