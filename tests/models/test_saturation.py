"""Saturation and pooling, by hand, and FLOPS as the library that trains with it computes it."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SparseEncoder
from sentence_transformers.sparse_encoder.losses import FlopsLoss

from models.saturation import pooled, saturated


def test_the_largest_of_three_positions_counts() -> None:
    logits = torch.tensor([[[-1.0], [3.0], [0.0]]])
    assert pooled(logits, [3]).item() == pytest.approx(math.log(4)) == pytest.approx(1.3863, abs=1e-4)
    assert pooled(logits, [1]).item() == 0, "only the last position is the text's own"
    assert pooled(logits, [0]).item() == 0


@given(st.lists(st.lists(st.floats(-9, 9, width=32), min_size=4, max_size=4), min_size=1, max_size=6))
def test_pooling_first_is_saturating_first_and_never_negative(rows: list[list[float]]) -> None:
    logits = torch.tensor([rows])
    weights = pooled(logits, [len(rows)])
    assert torch.equal(weights, saturated(logits).amax(1))
    assert (weights >= 0).all()


def test_flops_of_a_batch_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SparseEncoder, "__init__", torch.nn.Module.__init__)
    flops = FlopsLoss(SparseEncoder()).compute_loss_from_embeddings(torch.tensor([[1.0, 0.0, 2.0], [3.0, 0.0, 0.0]]))
    assert flops.item() == 5, "(2 squared) + 0 + (1 squared)"
