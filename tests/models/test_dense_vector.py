"""Vectors have norm 1, whatever is cut off."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.dense_vector import cut_dimension, unit_rows
from schemas.errors import ModelError


@given(arrays(np.float32, (3, 5), elements=st.floats(-9, 9, width=32)), st.integers(1, 5))
def test_rows_are_cut_and_have_norm_one(rows: np.ndarray, dimension: int) -> None:
    made = unit_rows(rows, dimension)
    assert made.shape == (3, dimension)
    assert made.dtype == np.float32
    for row, cut in zip(made, rows[:, :dimension], strict=True):
        norm = np.linalg.norm(cut)
        if norm > 1e-12:
            assert np.allclose(row, cut / norm, atol=1e-6)


def test_a_row_of_zeros_stays_one() -> None:
    assert unit_rows([[0.0, 0.0]]).tolist() == [[0.0, 0.0]]


def test_more_than_the_model_makes_is_refused() -> None:
    assert (cut_dimension(None, 384, Path("m")), cut_dimension(128, 384, Path("m"))) == (384, 128)
    with pytest.raises(ModelError, match="m: its vectors have 384 dimensions, not 385"):
        cut_dimension(385, 384, Path("m"))
