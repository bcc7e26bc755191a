"""PROSPER's literal residual network, by hand and by its invariants (method 23's tests)."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from models.literal_residual import literal_residual
from models.saturation import saturated
from models.sparse_vector import inner_product, sparse_vector

TERMS = 6
WEIGHTS = st.lists(st.floats(0, 5, width=32), min_size=TERMS, max_size=TERMS)


def test_the_hand_case() -> None:
    boosted = literal_residual(torch.tensor([[1.0, 0, 2]]), torch.tensor([[0.2, 0.5, 0.1]]), [[0, 1, 0]])
    assert torch.allclose(boosted, torch.tensor([[1.3, 0.0, 2.0]]))


@given(
    WEIGHTS, st.lists(st.floats(-5, 5, width=32), min_size=TERMS, max_size=TERMS), st.sets(st.integers(0, TERMS - 1))
)
def test_only_literals_gain_and_the_best_rated_nothing(
    base: list[float], rated: list[float], literals: set[int]
) -> None:
    w, predicted = torch.tensor([base], dtype=torch.float64), torch.tensor([rated], dtype=torch.float64)
    gained = (literal_residual(w, predicted, [sorted(literals)]) - w)[0]
    assert (gained >= 0).all()
    assert all(gained[term] == 0 for term in range(TERMS) if term not in literals)
    if (best := int(predicted.argmax())) in literals:
        assert gained[best] == 0


@given(WEIGHTS, WEIGHTS, st.sets(st.integers(0, TERMS - 1)))
def test_what_literals_and_expansions_score_adds_up(
    query: list[float], passage: list[float], literals: set[int]
) -> None:
    masked = [
        [weight if (term in literals) == kept else 0 for term, weight in enumerate(passage)] for kept in (True, False)
    ]
    whole = inner_product(sparse_vector(query), sparse_vector(passage))
    parts = [inner_product(sparse_vector(query), sparse_vector(part)) for part in masked]
    assert abs(sum(parts) - whole) <= 1e-6 * max(1, whole)


def test_saturation_is_of_states_too() -> None:
    assert torch.allclose(saturated(torch.tensor([-2.0, 0.0, 1.0])), torch.tensor([0.0, 0.0, 0.6931]), atol=1e-4)
