"""vLLM's own server: what it answers, and that its death with requests under way costs none of them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import jsonschema
import pytest

from models.environment import ENVIRONMENT
from models.folders import model_folder
from models.language import Request, Sampling
from models.opening import open_language_model
from schemas.corpus import LanguageModelSettings
from tasks.recipes import load_recipe

pytestmark = pytest.mark.slow

NAME = "small"
SECONDS_TO_START = 600
OPTIONS = ("--max-model-len", "1024", "--enforce-eager", "--kv-cache-memory-bytes", str(1 << 28))


@contextmanager
def serving(port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """vLLM's server on this port, which is killed in the end if it still lives."""
    program = [
        sys.executable,
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        str(model_folder("SmolLM2-135M-Instruct")),
    ]
    where = ["--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(port)]
    with log.open("ab") as output:
        server = subprocess.Popen(
            [*program, *where, *OPTIONS],
            env={**os.environ, **ENVIRONMENT, "VLLM_ENABLE_V1_MULTIPROCESSING": "1"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_for(server, port, log)
        yield server
    finally:
        kill(server)


def wait_for(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise AssertionError(f"the server does not start: {log.read_text()[-3000:]}")


def kill(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_a_night_survives_the_death_of_its_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    log = tmp_path / "server.log"
    model = open_language_model(
        LanguageModelSettings(
            engine="server", url=f"http://127.0.0.1:{port}/v1", model=NAME, concurrency=4, retries=200
        )
    )
    schema = load_recipe("keywords").output
    assert schema
    texts = [f"Owls hunt mice in night {number}." for number in range(12)]
    asked = [Request([{"role": "user", "content": text}], Sampling(48), schema) for text in texts]
    asked.insert(3, Request([{"role": "user", "content": "word " * 2000}], Sampling(48), schema))
    made = {}
    with serving(port, log) as first:
        answered = model.generate(asked)
        for number, generation in answered:
            made[number] = generation
            if len(made) == 3:
                kill(first)
                break
    with serving(port, log):
        made.update(answered)

    assert sorted(made) == list(range(13))
    assert [number for number, generation in made.items() if generation.finish_reason == "too_long"] == [3]
    for number, generation in made.items():
        if number != 3 and generation.finish_reason == "stop":
            jsonschema.validate(json.loads(generation.text), schema)
    assert all(
        generation.prompt_tokens and generation.output_tokens for number, generation in made.items() if number != 3
    )
