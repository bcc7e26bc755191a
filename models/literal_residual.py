"""PROSPER's literal residual network: terms that stand in a text cannot be drowned by terms that do not.

Song and others, LLMs as Sparse Retrievers for Product Search, arXiv 2510.18527.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def literal_residual(base: "Tensor", predicted: "Tensor", literals: Sequence[Sequence[int]]) -> "Tensor":
    """W = w + I (max(w') - w'), where I is 1 for the terms that stand in the text and 0 for all others.

    What is added is never below 0, most for the literal terms that the network rates lowest, and nothing for the term
    that it rates highest.

    Args:
        base: w, the saturated logits: n by vocabulary.
        predicted: w', what the network makes of the saturated states: n by vocabulary.
        literals: of each text, ids of its terms.
    """
    boosted = base.clone()
    for row, ids in enumerate(literals):
        present = sorted(set(ids))
        boosted[row, present] += predicted[row].max() - predicted[row, present]
    return boosted
