"""Rows on their way from the crawling child to its parent: an Arrow stream, written by a thread."""

import asyncio
import math
import os
import queue
import threading
import time
import traceback
from collections.abc import Iterator
from io import BufferedIOBase
from typing import Any

import pyarrow as pa

from tasks.crawling.order import FETCHED

BATCH_ROWS = 64
BATCH_BYTES = 16_000_000
BATCH_SECONDS = 2.0

_MOST_WAITING = 2 * BATCH_ROWS

Row = dict[str, Any]


class RowStream:
    """Batches rows and writes them to a pipe, so that a kill of either side loses little.

    A thread writes, since the parent may leave the pipe full for as long as a commit takes, and the
    answers of other sites must be read meanwhile. `room` keeps memory bounded: it waits for the parent.
    """

    def __init__(self, sink: BufferedIOBase) -> None:
        self._sink = sink
        self._rows: queue.Queue[Row | None] = queue.Queue()
        self._thread = threading.Thread(target=self._write, name="rows", daemon=True)
        self._thread.start()

    def add(self, row: Row) -> None:
        """Hand over one row of `FETCHED`."""
        self._rows.put(row)

    async def room(self) -> None:
        """Return once the parent has taken enough of what was added."""
        while self._rows.qsize() >= _MOST_WAITING:
            await asyncio.sleep(0.05)

    def close(self) -> None:
        """Write what is left and end the stream."""
        self._rows.put(None)
        self._thread.join()

    def _write(self) -> None:
        try:
            with pa.ipc.new_stream(self._sink, FETCHED) as writer:
                for rows in _batches(self._rows):
                    writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=FETCHED))
            self._sink.close()
        except BaseException as error:  # no row gets through any more, so there is nothing left to crawl for
            if not isinstance(error, BrokenPipeError):
                traceback.print_exc()
            os._exit(1)


def _batches(rows: "queue.Queue[Row | None]") -> Iterator[list[Row]]:
    more = True
    while more:
        batch, more = _batch(rows)
        if batch:
            yield batch


def _batch(rows: "queue.Queue[Row | None]") -> tuple[list[Row], bool]:
    """One batch, complete or as old as a row may wait, and whether there may be another."""
    batch: list[Row] = []
    size = 0
    deadline = math.inf
    while len(batch) < BATCH_ROWS and size < BATCH_BYTES:
        try:
            row = rows.get(timeout=None if not batch else max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if row is None:
            return batch, False
        if not batch:
            deadline = time.monotonic() + BATCH_SECONDS
        batch.append(row)
        size += len(row["body"] or b"")
    return batch, True
