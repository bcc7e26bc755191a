"""The parity gate lets near vectors pass, and names the figure where they are not."""

from collections.abc import Sequence

import numpy as np
import pytest

from models.dense_vector import unit_rows
from models.encoder import Encoded
from models.fake import FakeEncoder
from models.parity import SAMPLE, check_parity
from schemas.errors import ModelError


class Noisy(FakeEncoder):
    """Turns the vectors of queries by a known angle: away from themselves, towards a direction of their own."""

    def __init__(self, cosine: float) -> None:
        super().__init__()
        self.cosine = cosine

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        made = super().encode(texts)
        aside = np.zeros_like(made.vectors)
        aside[np.arange(len(texts)), made.vectors.argmin(axis=1)] = 1
        aside = unit_rows(aside - (aside * made.vectors).sum(1, keepdims=True) * made.vectors)
        turned = self.cosine * made.vectors + np.sqrt(1 - self.cosine**2) * aside
        return Encoded(turned.astype(np.float32), made.tokens)


def test_equal_and_near_vectors_pass() -> None:
    check_parity(FakeEncoder(), FakeEncoder(), 1 - 1e-6, "model")
    check_parity(Noisy(0.9951), FakeEncoder(), 0.995, "model")


def test_far_vectors_of_queries_alone_are_refused_with_their_figure() -> None:
    with pytest.raises(ModelError, match=r"MiniLM in int8: not at parity with float32: cosine 0\.9680 on .* 0\.99 is"):
        check_parity(Noisy(0.968), FakeEncoder(), 0.99, "MiniLM in int8")


def test_what_is_no_number_is_refused() -> None:
    class Broken(FakeEncoder):
        def encode(self, texts: Sequence[str]) -> Encoded:
            made = super().encode(texts)
            return Encoded(made.vectors * np.float32("nan"), made.tokens)

    with pytest.raises(ModelError, match=r"cosine -1\.0000"):
        check_parity(Broken(), FakeEncoder(), 0.5, "model")


def test_the_sample_has_texts_of_many_lengths() -> None:
    lengths = sorted(len(text.split()) for text in SAMPLE)
    assert lengths[0] == 1
    assert lengths[-1] > 100
    assert len(set(SAMPLE)) == len(SAMPLE)
