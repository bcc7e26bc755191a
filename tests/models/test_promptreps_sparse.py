"""PromptReps' impacts through the interface of sparse encoders."""

from pathlib import Path

import numpy as np
import pytest

from models.opening import open_sparse_encoder, sparse_encoder_id
from models.promptreps import PromptRepsEncoder, promptreps_id
from schemas.corpus import SparseEncoderSettings
from tests.models.tiny_language_model import write_tiny_language_model

TEXTS = ["Heaps keep the smallest item first.", "of the", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_language_model(tmp_path_factory.mktemp("tiny"))


def test_impacts_are_the_weights(folder: Path) -> None:
    settings = SparseEncoderSettings(engine="promptreps", model=str(folder), query_terms=3)
    encoder = open_sparse_encoder(settings)
    direct = PromptRepsEncoder(folder, 32)

    made = encoder.encode(TEXTS)

    for vector, impacts in zip(made.vectors, direct.represent(TEXTS, "passage").impacts, strict=True):
        assert dict(zip(vector.terms.tolist(), vector.weights.tolist(), strict=True)) == impacts
        assert (np.diff(vector.terms) > 0).all()
    assert made.tokens == direct.encode(TEXTS).tokens
    assert encoder.vocabulary == direct.vocabulary
    (query,) = encoder.encode_queries(TEXTS[:1]).vectors
    (impacts,) = direct.represent(TEXTS[:1], "query").impacts
    assert query.weights.tolist() == [impacts[term] for term in sorted(list(impacts)[:3])]
    assert encoder.encoder_id == sparse_encoder_id(settings)
    assert (
        len(
            {
                encoder.encoder_id,
                promptreps_id(folder),
                sparse_encoder_id(SparseEncoderSettings(engine="promptreps", model=str(folder))),
            }
        )
        == 3
    )
