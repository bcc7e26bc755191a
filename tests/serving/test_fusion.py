"""Reciprocal rank fusion, against values by hand."""

import pytest

from serving.fusion import reciprocal_rank_fusion


def test_sums_of_reciprocal_ranks() -> None:
    fused = reciprocal_rank_fusion([[7, 8], [8, 9]])

    assert [item for item, _ in fused] == [8, 7, 9]
    assert [score for _, score in fused] == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62])


def test_equal_sums_stand_in_the_order_of_the_items() -> None:
    assert [item for item, _ in reciprocal_rank_fusion([[5, 1], [1, 5]])] == [1, 5]


def test_no_lists_fuse_to_nothing() -> None:
    assert reciprocal_rank_fusion([]) == []
    assert reciprocal_rank_fusion([[], []]) == []
