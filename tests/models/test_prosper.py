"""PROSPER with a tiny random model and network, against transformers asked directly (method 23's tests)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.encoder import SparseVector
from models.opening import open_sparse_encoder, sparse_encoder_id
from models.prosper import HEAD, ProsperEncoder, prosper_id
from models.sparse_vector import MostTerms, inner_product
from schemas.corpus import SparseEncoderSettings
from schemas.errors import ModelError
from tests.models.tiny_language_model import write_tiny_language_model

Expected = Callable[[str], tuple[np.ndarray, np.ndarray, list[int]]]

ALL = MostTerms(None, None)
TEXTS = ["Heaps keep the smallest item first.", "Sockets", "", "A sorted list is searched by bisection. " * 3]


def write_head(folder: Path, seed: int = 1, dimension: int = 32) -> Path:
    torch.manual_seed(seed)
    vocabulary = len(AutoTokenizer.from_pretrained(folder))
    save_file({"weight": torch.randn(vocabulary, dimension), "bias": torch.randn(vocabulary)}, folder / HEAD)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_head(write_tiny_language_model(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> ProsperEncoder:
    return ProsperEncoder(folder, batch_size=4, most=ALL)


@pytest.fixture(scope="module")
def expected(folder: Path) -> Expected:
    """Base and boosted weights of a text, by the paper's formulas and transformers alone."""
    from safetensors.torch import load_file

    model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer, head = AutoTokenizer.from_pretrained(folder), load_file(folder / HEAD)

    def weights(text: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
        ids = tokenizer.encode(text, add_special_tokens=False)
        with torch.no_grad():
            output = model(torch.tensor([ids]), output_hidden_states=True)
        base = np.log1p(np.maximum(output.logits[0, -1].numpy(), 0))
        state = np.log1p(np.maximum(output.hidden_states[-1][0, -1].numpy(), 0))
        predicted = head["weight"].numpy() @ state + head["bias"].numpy()
        literal = np.isin(np.arange(len(base)), ids)
        return base, base + literal * (predicted.max() - predicted), ids

    return weights


def dense(encoder: ProsperEncoder, vector: SparseVector) -> np.ndarray:
    row = np.zeros(encoder.vocabulary, np.float32)
    row[vector.terms] = vector.weights
    return row


def test_weights_are_the_papers(encoder: ProsperEncoder, expected: Expected) -> None:
    made = encoder.encode(TEXTS).vectors
    for text, vector in zip(TEXTS, made, strict=True):
        if text:
            assert np.abs(dense(encoder, vector) - expected(text)[1]).max() < 1e-3
        else:
            assert len(vector.terms) == 0


def test_queries_have_norm_one_and_passages_have_not(encoder: ProsperEncoder) -> None:
    (passage,), (query,) = encoder.encode(TEXTS[:1]).vectors, encoder.encode_queries(TEXTS[:1]).vectors
    assert np.linalg.norm(query.weights) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(passage.weights) > 1.5
    assert np.allclose(query.weights, passage.weights / np.linalg.norm(passage.weights), atol=1e-5)
    doubled = type(passage)(passage.terms, 2 * passage.weights)
    assert inner_product(query, doubled) == pytest.approx(2 * inner_product(query, passage)), "items are not normalised"


def test_flops_is_told_of_the_weights_before_the_residual(encoder: ProsperEncoder, expected: Expected) -> None:
    made = encoder.base_weights(TEXTS[:2]).numpy()
    for text, row in zip(TEXTS, made, strict=False):
        base, boosted, _ = expected(text)
        assert np.abs(row - base).max() < 1e-4
        assert np.abs(row - boosted).max() > 0.1


def test_the_window_is_512_and_256_unless_told(folder: Path) -> None:
    settings = SparseEncoderSettings(engine="prosper", model=str(folder))
    assert (settings.passage_terms, settings.query_terms) == (512, 256)
    narrow = open_sparse_encoder(settings.model_copy(update={"passage_terms": 9, "query_terms": 3}))
    assert [len(vector.terms) for vector in narrow.encode(TEXTS[:2]).vectors] == [9, 9]
    assert len(narrow.encode_queries(TEXTS[:1]).vectors[0].terms) == 3


def test_without_its_network_it_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_language_model(tmp_path)
    settings = SparseEncoderSettings(engine="prosper", model=str(folder))
    for opened in (sparse_encoder_id, open_sparse_encoder):
        with pytest.raises(ModelError, match=rf"has no {HEAD}.*echo-splade"):
            opened(settings)


def test_a_network_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = write_head(write_tiny_language_model(tmp_path), dimension=8)
    with pytest.raises(ModelError, match=r"does not fit the model.*size mismatch"):
        ProsperEncoder(folder, 4, ALL)
    (folder / HEAD).write_bytes(b"not safetensors")
    with pytest.raises(ModelError, match="does not fit the model"):
        ProsperEncoder(folder, 4, ALL)


def test_another_network_is_another_encoder(encoder: ProsperEncoder, folder: Path, tmp_path: Path) -> None:
    other = write_head(write_tiny_language_model(tmp_path), seed=2)
    assert prosper_id(folder, ALL) == encoder.encoder_id
    assert len({encoder.encoder_id, prosper_id(other, ALL), prosper_id(folder, MostTerms(512, 256))}) == 3
