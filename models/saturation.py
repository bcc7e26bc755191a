"""SPLADE's saturation and pooling: from logits at positions to weights of terms.

Formal, Lassance, Piwowarski and Clinchant, SPLADE v2, arXiv 2109.10086.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def saturated(values: "Tensor") -> "Tensor":
    """ln(1 + max(0, value)) of each."""
    return values.relu().log1p()


def pooled(logits: "Tensor", counts: Sequence[int]) -> "Tensor":
    """The saturated maximum of each term's logits over a text's own positions: n by vocabulary.

    Saturation never puts a larger logit below a smaller one, so that pooling first costs one logarithm a term and
    not one a position.

    Args:
        logits: n by positions by vocabulary.
        counts: of each text, how many positions at the right are its own; with none every weight is 0.
    """
    strongest = logits.new_zeros(len(counts), logits.shape[2])
    for row, count in enumerate(counts):
        if count:
            strongest[row] = logits[row, -count:].amax(0)
    return saturated(strongest)
