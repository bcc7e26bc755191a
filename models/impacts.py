"""PromptReps' sparse vectors: what the model would say next, restricted to the words of the text.

Zhuang, Ma, Koopman, Lin and Zuccon, PromptReps, arXiv 2404.18424.
"""

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

MOST_IMPACTS = 128
SCALE = 100
# Of a text without a word of its own.
VOCABULARY_IMPACTS = 10
WORD = re.compile(r"[^\W_]+")


def content_words(text: str) -> list[str]:
    """The distinct words of a text in lower case, in order, without punctuation and English stop words (NLTK's 179)."""
    from bm25s.stopwords import STOPWORDS_EN_PLUS

    stop_words = frozenset(STOPWORDS_EN_PLUS)
    return [word for word in dict.fromkeys(WORD.findall(text.lower())) if word not in stop_words]


def token_ids(words: Iterable[str], tokenize: Callable[[str], Sequence[int]]) -> list[int]:
    """The distinct ids of all the tokens of the words, in ascending order.

    Args:
        tokenize: ids of one word, no special tokens.
    """
    return sorted({number for word in words for number in tokenize(word)})


def impacts(logits: NDArray[np.float32], allowed: Sequence[int]) -> dict[int, int]:
    """round(100 x ln(1 + max(0, logit))) of the allowed ids with the largest logits, largest first; zeros left out.

    At most 128 ids, equal logits in the order of their ids. Where none is allowed, the ten best of the vocabulary.

    Args:
        logits: of the whole vocabulary, at one position.
        allowed: vocabulary ids in ascending order.

    >>> impacts(np.array([-1, 3, 0], np.float32), [0, 1, 2])
    {1: 139}
    """
    candidates = np.asarray(allowed, np.int64) if len(allowed) else np.arange(len(logits))
    most = MOST_IMPACTS if len(allowed) else VOCABULARY_IMPACTS
    strongest = candidates[np.argsort(-logits[candidates], kind="stable")[:most]]
    weights = np.rint(SCALE * np.log1p(np.maximum(logits[strongest].astype(np.float64), 0))).astype(np.int64)
    return {int(number): int(weight) for number, weight in zip(strongest, weights, strict=True) if weight}
