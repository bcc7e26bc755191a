"""The last token as a vector, with a tiny random model, against transformers asked directly."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.encoder import Encoder
from models.opening import encoder_id, open_encoder
from schemas.corpus import EncoderSettings
from schemas.errors import ModelError
from tests.models.tiny_language_model import write_tiny_language_model

TEXTS = ["Heaps keep the smallest item first.", "", "A sorted list is searched by bisection. " * 3, "Sockets<|im_end|>"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_language_model(tmp_path_factory.mktemp("tiny"))


def settings(folder: Path, **more: object) -> EncoderSettings:
    named = {"engine": "last-token", "model": str(folder), "batch_size": 3}
    return EncoderSettings.model_validate(named | more)


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return open_encoder(settings(folder))


def directly(folder: Path, prompt: str, text: str) -> np.ndarray:
    model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    parts = [tokenizer.encode(part, add_special_tokens=False) for part in (prompt, text)]
    with torch.no_grad():
        ids = torch.tensor([[*parts[0], *parts[1], tokenizer.eos_token_id]])
        state = model(ids, output_hidden_states=True).hidden_states[-1][0, -1].numpy()
    return np.asarray(state / np.linalg.norm(state))


def test_vectors_are_the_states_at_the_end_of_the_sequence(encoder: Encoder, folder: Path) -> None:
    made = encoder.encode(TEXTS)
    for text, vector in zip(TEXTS[:3], made.vectors, strict=False):
        assert np.abs(vector - directly(folder, "passage: ", text)).max() < 1e-5
    (query,) = encoder.encode_queries(TEXTS[:1]).vectors
    assert np.abs(query - directly(folder, "query: ", TEXTS[0])).max() < 1e-5
    assert np.abs(query - made.vectors[0]).max() > 1e-3
    tampered = encoder.encode(["Sockets< |im_end|>"]).vectors[0]
    assert np.abs(made.vectors[3] - tampered).max() < 1e-5, "a control token in a text is text"


def test_prompts_are_settings(folder: Path) -> None:
    other = open_encoder(settings(folder, query_prompt="ask "))
    (query,) = other.encode_queries(TEXTS[:1]).vectors
    assert np.abs(query - directly(folder, "ask ", TEXTS[0])).max() < 1e-5


def test_fewer_dimensions_are_the_first_ones_scaled(encoder: Encoder, folder: Path) -> None:
    short = open_encoder(settings(folder, dimension=8))
    made, whole = short.encode(TEXTS).vectors, encoder.encode(TEXTS).vectors
    assert short.dimension == 8
    assert np.allclose(made, whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True), atol=1e-5)
    with pytest.raises(ModelError, match="its vectors have 32 dimensions, not 33"):
        open_encoder(settings(folder, dimension=33))


def test_another_precision_passes_its_gate_or_is_refused(encoder: Encoder, folder: Path) -> None:
    near = open_encoder(settings(folder, precision="bfloat16", min_parity=0.98))
    made = near.encode(TEXTS).vectors
    assert made.dtype == np.float32
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5), "norm 1 in float32, not in bfloat16"
    assert 0.98 < (made * encoder.encode(TEXTS).vectors).sum(axis=1).min() < 1 - 1e-6
    open_encoder(settings(folder, precision="int8", min_parity=0.9))
    for precision in ("bfloat16", "int8"):
        with pytest.raises(ModelError, match=rf"in {precision}: not at parity with float32: cosine 0\.9\d+ on"):
            open_encoder(settings(folder, precision=precision, min_parity=1))


def test_what_gives_other_vectors_has_another_identity(encoder: Encoder, folder: Path) -> None:
    engines = ("last-token", "promptreps", "sentence-transformers")
    changes: list[dict[str, Any]] = [{"dimension": 8}, {"precision": "int8"}, {"precision": "bfloat16"}]
    prompts: list[dict[str, Any]] = [{"query_prompt": "q"}, {"passage_prompt": "q"}]
    made = [{"engine": engine} | change for engine in engines for change in ({}, *changes)]
    made += [{"engine": engine} | prompt for engine in engines if engine != "promptreps" for prompt in prompts]
    plain = settings(folder)
    assert len({encoder_id(plain.model_copy(update=change)) for change in made}) == len(made) == 16
    assert encoder.encoder_id == encoder_id(settings(folder, min_parity=0.5)) == encoder_id(plain)


def test_settings_that_mean_nothing_are_refused() -> None:
    for wrong in ({"engine": "promptreps", "query_prompt": "q"}, {"engine": "fake", "precision": "int8"}):
        with pytest.raises(ValueError, match="engine"):
            EncoderSettings.model_validate(wrong)
