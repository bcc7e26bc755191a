"""Do clients notice when index versions are swapped under them?

    python -m bench.swap
    python -m bench.swap --json --passages 500 --publish 4 --roll-back 1 --seconds 3

Four client processes query the service over HTTP at full speed, first at rest, then while 20 versions are published
and 5 rolled back. The 99th percentile of the waits during swaps is held against that at rest, which it should stay
under three times of. No request may fail, and no answer may name or hold passages of two versions. Versions are small
and the encoder is the fake one, so that the figures are those of the swap.
"""

import argparse
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Barrier, Event

import httpx
import numpy as np
import uvicorn

from bench.report import Measured, print_measured
from models.fake import FakeEncoder
from serving.follow import LiveIndex
from serving.service import create_app
from tests.bundles import published
from warehouse.pointer import live_pointer, roll_back

GOAL = 3.0
Seen = tuple[float, float, int, str, bool]  # began, seconds, status, index_id, hits of another version


def main() -> None:
    """Compare the waits during swaps with those at rest."""
    asked = _asked()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        published(root, _sentences(0, asked.passages))
        context = multiprocessing.get_context("spawn")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        server = context.Process(target=_serve, args=(root, port), daemon=True)
        server.start()
        _wait_for(port, live_pointer(root).index_id)
        measured = _measure(context, root, port, asked)
        server.terminate()
    print_measured(measured, asked.json)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=4, help="processes that query")
    parser.add_argument("--publish", type=int, default=20, help="versions published")
    parser.add_argument("--roll-back", type=int, default=5, help="of which so many are rolled back")
    parser.add_argument("--passages", type=int, default=2000, help="passages of a version")
    parser.add_argument("--seconds", type=float, default=10.0, help="time at rest before the first swap")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser.parse_args()


def _measure(
    context: multiprocessing.context.SpawnContext, root: Path, port: int, asked: argparse.Namespace
) -> list[Measured]:
    with context.Pool(asked.clients) as pool, context.Manager() as manager:
        shared, started = manager.Event(), manager.Barrier(asked.clients + 1)
        results = [pool.apply_async(_ask, (port, started, shared)) for _ in range(asked.clients)]
        started.wait()
        time.sleep(asked.seconds)
        swaps_began = time.time()
        _swap(root, port, asked)
        swaps_ended = time.time()
        shared.set()
        seen = [each for result in results for each in result.get(60)]
    return _compared(seen, swaps_began, swaps_ended)


def _swap(root: Path, port: int, asked: argparse.Namespace) -> None:
    for number in range(1, asked.publish + 1):
        _wait_for(port, published(root, _sentences(number, asked.passages)).manifest.index_id)
    for _ in range(asked.roll_back):
        _wait_for(port, roll_back(root).index_id)


def _compared(seen: Sequence[Seen], began: float, ended: float) -> list[Measured]:
    """Waits in milliseconds and counts of requests, during swaps beside at rest."""
    rest = [each for each in seen if each[0] + each[1] < began]
    swaps = [each for each in seen if began <= each[0] < ended]
    return [
        Measured("p99 of a wait, ms", _p99(swaps), _p99(rest), "at rest", GOAL),
        Measured("requests that failed", _count(swaps, _failed), _count(rest, _failed), "at rest", 1.0),
        Measured("answers of two versions", _count(swaps, _mixed), _count(rest, _mixed), "at rest", 1.0),
        Measured("requests", len(swaps), len(rest), "at rest"),
        Measured(
            "versions that answered", len({each[3] for each in swaps}), len({each[3] for each in rest}), "at rest"
        ),
    ]


def _p99(seen: Sequence[Seen]) -> float:
    return float(np.percentile([each[1] for each in seen], 99)) * 1000


def _count(seen: Sequence[Seen], is_bad: Callable[[Seen], bool]) -> int:
    return sum(is_bad(each) for each in seen)


def _failed(each: Seen) -> bool:
    return each[2] != 200


def _mixed(each: Seen) -> bool:
    return each[4]


def _ask(port: int, started: Barrier, stopped: Event) -> list[Seen]:
    seen: list[Seen] = []
    asked = {"query": "moths of the night", "mode": "hybrid"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        _asked_once(client, asked)
        started.wait()
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


def _sentences(version: int, passages: int) -> list[str]:
    return [f"Version {version} tells of moths in night {night}." for night in range(passages)]


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
