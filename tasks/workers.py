"""The parent's side of work that may go wrong: child processes that are replaced when a source ends them.

Libraries of process pools (multiprocessing, pebble) start children that import the parent's main module, here
Prefect and Spark, and blame a batch for one of its sources. These children import what their work needs, and
answer source by source.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import pyarrow as pa

from schemas.errors import WorkerError
from schemas.quarantine import Reason
from tasks.answers import answers_schema, from_answers, to_answer
from tasks.outcome import Outcome, Rejection
from tasks.worker import OUT_OF_MEMORY, WORK_REFUSED, Order

SLICE_ROWS = 8
"""Sources that a child is given at a time."""
MOST_AHEAD_BYTES = 64 << 20
"""Sources that are handed out before the first of them is answered: enough to work on while a batch is committed."""

_CHECKOUT = Path(__file__).resolve().parents[1]
# As many children as cores: threads of theirs would only wait for each other.
_ONE_THREAD = {
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}


@dataclass(frozen=True)
class Piecework:
    """What is worked on, apart from where.

    Attributes:
        order: what is done to a source, within which limits.
        source_key: column that names a source in the quarantine.
        sources: columns that the work needs.
        rows: schema of the outcome's rows.
    """

    order: Order
    source_key: str
    sources: pa.Schema
    rows: pa.Schema


class Workers:
    """Does piecework in child processes.

    A source that takes too long, wants too much memory or kills its child is rejected; all others are answered,
    and come out in order. To be used as a context manager: children end with it, and with this process.

    Args:
        piecework: what is done.
        count: most children at a time; as many as cores when left out.
    """

    def __init__(self, piecework: Piecework, count: int | None = None) -> None:
        self._piecework = piecework
        self._count = count or os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="worker")
        self._children: list[_Child] = []
        self._idle: queue.SimpleQueue[_Child] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for child in self._children:
            child.end()
        self._threads.shutdown()

    def start(self, most: int) -> None:
        """Start the children that so many sources will need, while somebody else still looks for the sources."""
        for _ in range(min(self._count, -(-most // SLICE_ROWS))):
            self._idle.put(self._new_child())

    def outcomes(self, batches: Iterable[pa.Table]) -> Iterator[tuple[int, Outcome]]:
        """Outcomes of the batches' sources, in order, each with how many sources it is of.

        Raises:
            WorkerError: the work cannot be done at all; no source is to blame.
        """
        under_way: deque[tuple[pa.Table, Future[list[pa.RecordBatch]]]] = deque()
        ahead = 0
        for batch in batches:
            for sources in _slices(batch):
                under_way.append((sources, self._threads.submit(self._answer, sources)))
                ahead += sources.nbytes
            while under_way and (ahead > MOST_AHEAD_BYTES or under_way[0][1].done()):
                ahead -= under_way[0][0].nbytes
                yield self._outcome(*under_way.popleft())
        while under_way:
            yield self._outcome(*under_way.popleft())

    def answers(self, sources: pa.Table) -> list[pa.RecordBatch]:
        """One answer a source, in order.

        Raises:
            WorkerError: the work cannot be done at all; no source is to blame.
        """
        return list(chain.from_iterable(self._threads.map(self._answer, _slices(sources))))

    def _outcome(self, sources: pa.Table, answered: "Future[list[pa.RecordBatch]]") -> tuple[int, Outcome]:
        rows = self._piecework.rows
        return len(sources), from_answers(pa.Table.from_batches(answered.result(), answers_schema(rows)), rows)

    def _answer(self, sources: pa.Table) -> list[pa.RecordBatch]:
        answers: list[pa.RecordBatch] = []
        while len(answers) < len(sources):
            child = self._idle_child()
            answers += child.answers(sources.slice(len(answers)))
            if len(answers) < len(sources):
                answers.append(self._refusal(sources.slice(len(answers), 1), child))
                self._children.remove(child)
            else:
                self._idle.put(child)
        return answers

    def _idle_child(self) -> "_Child":
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        return self._new_child()

    def _new_child(self) -> "_Child":
        child = _Child(self._piecework.order, self._piecework.sources)
        self._children.append(child)
        return child

    def _refusal(self, source: pa.Table, child: "_Child") -> pa.RecordBatch:
        reason, why = child.death()
        row = source.to_pylist()[0]
        key = row[self._piecework.source_key]
        rejection = Rejection(key, reason, f"{row.get('url', key)}: {why}")
        return to_answer(Outcome(self._piecework.rows.empty_table(), (rejection,)))


class _Child:
    def __init__(self, order: Order, schema: pa.Schema) -> None:
        self._order = order
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the child
        # Its standard input stays open: the child ends when this process does.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tasks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=_CHECKOUT,
            env={**os.environ, **_ONE_THREAD},
            start_new_session=True,
        )
        self._input, self._output = cast(Any, self._process.stdin), cast(Any, self._process.stdout)
        with contextlib.suppress(OSError):  # it has ended already: its death says why
            self._input.write(order.to_json().encode() + b"\n")
            self._input.flush()
        self._schema = schema
        self._sources: pa.RecordBatchStreamWriter | None = None
        self._answers: pa.RecordBatchReader | None = None

    def answers(self, sources: pa.Table) -> list[pa.RecordBatch]:
        """Answers of the sources, or of those before the one that the child died of."""
        received: list[pa.RecordBatch] = []
        with contextlib.suppress(BrokenPipeError, pa.ArrowInvalid, StopIteration, OSError):
            self._send(sources)
            for _ in range(len(sources)):
                received.append(self._next())
        return received

    def _send(self, sources: pa.Table) -> None:
        if self._sources is None:
            self._sources = pa.ipc.new_stream(self._input, self._schema)
        for batch in sources.combine_chunks().to_batches():
            self._sources.write_batch(batch)
        self._input.flush()

    def _next(self) -> pa.RecordBatch:
        if self._answers is None:
            self._answers = pa.ipc.open_stream(self._output)
        return self._answers.read_next_batch()

    def death(self) -> tuple[Reason, str]:
        """What the source at work did to the child, as a reason and for a person.

        Raises:
            WorkerError: the child ended by itself, or before there was a source.
        """
        status = self._process.wait()
        if status == WORK_REFUSED or self._answers is None:
            raise self._refused(status)
        self.end()
        if status == -signal.SIGALRM:
            return Reason.TIME_LIMIT, f"took longer than {self._order.seconds:g} s"
        if status == OUT_OF_MEMORY:
            return Reason.MEMORY_LIMIT, f"wanted more than {self._order.memory_mb:,} MiB"
        ended = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return Reason.WORKER_DIED, f"ended its worker process ({ended})"

    def _refused(self, status: int) -> WorkerError:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return WorkerError(
            lines[-1].strip()[:500] if lines else f"ended with status {status} before it did anything",
            where=f"worker process of {self._order.work}",
            left_behind="What was committed before is kept",
            remedy="Run the same command again when it is mended; a limit too low is in [workers] of the corpus file",
        )

    def end(self) -> None:
        """Kill it, and let go of what it held."""
        self._process.kill()
        self._process.wait()
        for stream in (self._input, self._output, self._log):
            with contextlib.suppress(OSError):
                stream.close()


def _slices(sources: pa.Table) -> list[pa.Table]:
    return [sources.slice(start, SLICE_ROWS) for start in range(0, len(sources), SLICE_ROWS)]
