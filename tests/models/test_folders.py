"""Prepared models are found, and their identity does not need the model."""

from pathlib import Path

import pytest

from models.folders import MANIFEST, PREPARED, model_folder, model_id
from schemas.errors import SetupError


def make_model(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_a_folder_is_its_own_model(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "mine")
    assert model_folder(str(folder)) == folder


def test_a_model_that_is_not_prepared_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTJAR_CACHE", str(tmp_path))
    with pytest.raises(SetupError, match="make install"):
        model_folder("SmolLM2-135M-Instruct")


def test_an_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(SetupError, match="SmolLM2-135M-Instruct, all-MiniLM-L6-v2"):
        model_folder("no-such-model")


def test_identity_follows_the_weights_and_not_the_place(tmp_path: Path) -> None:
    first, moved = make_model(tmp_path / "a"), make_model(tmp_path / "b")
    other = make_model(tmp_path / "c", b"other weights")
    assert model_id(first) == model_id(moved) != model_id(other)


def test_identity_ignores_what_does_not_change_outputs(tmp_path: Path) -> None:
    folder, same = make_model(tmp_path / "a"), make_model(tmp_path / "b")
    (same / "README.md").write_text("about")
    assert model_id(folder) == model_id(same)


def test_a_prepared_model_has_its_identity_on_record(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "a")
    (folder / MANIFEST).write_text('{"model_id": "abc"}')
    assert model_id(folder) == "abc"


def test_another_pin_is_another_folder() -> None:
    assert len({model.folder for model in PREPARED.values()}) == len(PREPARED)
    assert all(model.sha256[:8] in model.folder.name for model in PREPARED.values())
