"""The parent's side of a crawl: one child process per round, its rows as they come."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from schemas.corpus import CrawlSettings
from schemas.errors import CrawlError
from tasks.crawling.frontier import Request
from tasks.crawling.order import Order
from tasks.crawling.site import SiteAddress

_CHECKOUT = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 5.0


def fetch(
    requests: Sequence[Request], settings: CrawlSettings, site: SiteAddress | None = None
) -> Generator[pa.RecordBatch, None, None]:
    """Fetch every request once, in a child process, and yield the rows as they come.

    Each request gives exactly one row, whatever became of it. Closing the iterator stops the child.

    Args:
        requests: a round, from `next_round`.
        settings: how to fetch.
        site: the served site, if the corpus has one.

    Yields:
        Batches of `tasks.crawling.order.FETCHED`: `pages` without ds and run_id.

    Raises:
        CrawlError: the child died; what it had yielded before is good.
    """
    order = Order(list(requests), settings, site)
    with tempfile.TemporaryFile() as log, _child(order, log) as process:
        received = 0
        with contextlib.suppress(pa.ArrowInvalid), pa.ipc.open_stream(cast(BufferedReader, process.stdout)) as batches:
            for batch in batches:
                received += len(batch)
                yield batch
        if received < len(order.requests):
            raise _died(process.wait(), len(order.requests) - received, log)


@contextlib.contextmanager
def _child(order: Order, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    # Its standard input stays open: the child ends when this process does.
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.crawling.spider"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd=_CHECKOUT,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(order.to_json().encode() + b"\n")
            process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.communicate()


def _died(status: int, missing: int, log: IO[bytes]) -> CrawlError:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    said = f"; it said: {lines[-1].strip()[:300]}" if lines else ""
    return CrawlError(
        f"the crawling process ended with status {status}, {missing} pages short{said}",
        left_behind="The pages that were committed are kept",
        remedy="Run the same command again: it goes on from there",
    )
