"""PromptPRF queries (arXiv 2503.14887): the query, then what a language model wrote about the first results.

Composing knows no encoder and no index, so that every encoder and every experiment shares it.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Composed:
    """A query text for the second pass.

    Attributes:
        text: the query, then one labelled line per passage that gave feedback.
        ranks: of the passages whose feedback is in the text, whole or cut.
        truncated: feedback was left out to keep the budget.
    """

    text: str
    ranks: tuple[int, ...]
    truncated: bool


def compose(
    query: str,
    feedback: Sequence[str],
    feature: str,
    *,
    positional: bool,
    budget: int,
    count_tokens: Callable[[str], int],
) -> Composed:
    """Put the query and the feedback of the first pass into one text.

    Words are cut from the last passage first, then from the one before it. The query is never cut, not even one that
    is longer than the budget; without feedback the text is the query, unchanged.

    Args:
        feedback: feature of each passage of the first pass, in the order of their ranks; empty for one without it.
        feature: name that the labels say.
        positional: labels tell the passage's rank.
        budget: most tokens of the text.
        count_tokens: tokens of a text in the encoder's tokenizer.
    """
    words = [(rank, word) for rank, text in enumerate(feedback, start=1) for word in text.split()]

    def with_first(kept: int) -> str:
        return _text(query, words[:kept], feature, positional=positional)

    # The candidate before the one found was itself measured and fits, even where counts are not monotone.
    fitting = bisect_right(range(len(words) + 1), budget, key=lambda kept: count_tokens(with_first(kept))) - 1
    kept = max(fitting, 0)
    ranks = tuple(dict.fromkeys(rank for rank, _ in words[:kept]))
    return Composed(with_first(kept), ranks, truncated=kept < len(words))


def _text(query: str, words: Sequence[tuple[int, str]], feature: str, *, positional: bool) -> str:
    segments: dict[int, list[str]] = {}
    for rank, word in words:
        segments.setdefault(rank, []).append(word)
    lines = [f"{_label(feature, rank, positional=positional)}: {' '.join(said)}" for rank, said in segments.items()]
    return "\n".join([query, *lines])


def _label(feature: str, rank: int, *, positional: bool) -> str:
    return f"{feature} for top-{rank} passage" if positional else f"{feature} for a top passage"
