"""Do clients notice when index versions are swapped under them?

    python -m bench.swap

Four client processes query the service over HTTP at full speed, first at rest, then while 20 versions are published
and 5 rolled back. No request may fail, no answer may name or hold passages of two versions, and the 99th percentile
of the waits during swaps should stay under three times that at rest. Versions are small and the encoder is the fake
one, so that the figure is that of the swap. Each holds 2,000 passages.
"""

import json
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event

import httpx
import numpy as np
import uvicorn

from models.fake import FakeEncoder
from serving.follow import LiveIndex
from serving.service import create_app
from tests.bundles import published
from warehouse.pointer import live_pointer, roll_back

CLIENTS = 4
PUBLISHED = 20
ROLLED_BACK = 5
PASSAGES = 2000
SECONDS_AT_REST = 10.0
GOAL = 3.0
Seen = tuple[float, float, int, str, bool]  # began, seconds, status, index_id, hits of another version


def main() -> None:
    """Print one JSON object of the figures; fails where a request failed or mixed two versions."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        published(root, _sentences(0))
        context = multiprocessing.get_context("spawn")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        server = context.Process(target=_serve, args=(root, port), daemon=True)
        server.start()
        _wait_for(port, live_pointer(root).index_id)
        figures = _measure(context, root, port)
        server.terminate()
    print(json.dumps(figures))
    if figures["failed"] or figures["mixed"]:
        raise SystemExit("a request failed or mixed two versions")


def _measure(context: multiprocessing.context.SpawnContext, root: Path, port: int) -> dict[str, float]:
    with context.Pool(CLIENTS) as pool, context.Manager() as manager:
        shared = manager.Event()
        results = [pool.apply_async(_ask, (port, shared)) for _ in range(CLIENTS)]
        time.sleep(SECONDS_AT_REST)
        swaps_began = time.time()
        _swap(root, port)
        swaps_ended = time.time()
        shared.set()
        seen = [each for result in results for each in result.get(60)]
    return _figures(seen, swaps_began, swaps_ended)


def _swap(root: Path, port: int) -> None:
    for number in range(1, PUBLISHED + 1):
        _wait_for(port, published(root, _sentences(number)).manifest.index_id)
    for _ in range(ROLLED_BACK):
        _wait_for(port, roll_back(root).index_id)


def _figures(seen: Sequence[Seen], began: float, ended: float) -> dict[str, float]:
    rest = [each[1] for each in seen if each[0] + each[1] < began]
    swaps = [each[1] for each in seen if began <= each[0] < ended]
    at_rest, during = np.percentile(rest, 99), np.percentile(swaps, 99)
    return {
        "requests_at_rest": len(rest),
        "requests_during_swaps": len(swaps),
        "versions_seen": len({each[3] for each in seen}),
        "failed": sum(each[2] != 200 for each in seen),
        "mixed": sum(each[4] for each in seen),
        "p99_ms_at_rest": round(float(at_rest) * 1000, 2),
        "p99_ms_during_swaps": round(float(during) * 1000, 2),
        "ratio": round(float(during / at_rest), 2),
        "goal": GOAL,
    }


def _ask(port: int, stopped: Event) -> list[Seen]:
    seen: list[Seen] = []
    asked = {"query": "moths of the night", "mode": "hybrid"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        while len(seen) % 10 or not stopped.is_set():
            seen.append(_asked_once(client, asked))
    return seen


def _asked_once(client: httpx.Client, asked: dict[str, str]) -> Seen:
    began, clock = time.time(), time.perf_counter()
    try:
        response = client.post("/search", json=asked)
    except httpx.HTTPError:
        return began, time.perf_counter() - clock, 0, "", False
    seconds = time.perf_counter() - clock
    if response.status_code != 200:
        return began, seconds, response.status_code, "", False
    answer = response.json()
    # Every text says its version's number, so that texts tell a mixture that the ids would hide.
    told = {hit["text"].split()[1] for hit in answer["hits"]} | {"-"}
    mixed = len(told) != 2 or any(hit["index_id"] != answer["index_id"] for hit in answer["hits"])
    return began, seconds, 200, answer["index_id"], mixed


def _sentences(version: int) -> list[str]:
    return [f"Version {version} tells of moths in night {night}." for night in range(PASSAGES)]


def _serve(root: Path, port: int) -> None:
    live = LiveIndex(root, FakeEncoder, lambda text: len(text.split()))
    uvicorn.run(create_app(live, seconds_between_looks=0.1), port=port, log_level="error")


def _wait_for(port: int, index_id: str) -> None:
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=30).json()["index_id"] == index_id:
                return
        except httpx.ConnectError:
            pass
        time.sleep(0.05)


if __name__ == "__main__":
    main()
