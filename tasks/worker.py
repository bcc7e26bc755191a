"""The child's side of work that may go wrong: one source after the other, within a time and a memory limit.

`python -m tasks.worker` reads an `Order` from its first line and Arrow batches of sources after it, and answers
every source at once, so that the one at work when it dies is the one to blame. What enforces the limits is the
kernel: a signal handler would wait for C code that never returns. Imports only what its work needs.
"""

import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any, cast

import pyarrow as pa

from schemas.errors import NightjarError
from tasks.answers import answers_schema, to_answer
from tasks.outcome import Outcome

WORK_REFUSED = 70
"""Exit status of a child whose work raised: not the source's fault, so the run is told (sysexits.h, EX_SOFTWARE)."""
OUT_OF_MEMORY = 71
"""Exit status of a child that its source has left without memory (sysexits.h, EX_OSERR)."""

Work = Callable[[pa.Table], Outcome]


@dataclass(frozen=True)
class Order:
    """What a child is to do.

    Attributes:
        work: "module:function"; the function takes `arguments` and returns from a table of sources to an outcome.
        arguments: what JSON can hold.
        seconds: longest that one source may take.
        memory_mb: largest address space of the child, in MiB.
    """

    work: str
    arguments: Mapping[str, Any]
    seconds: float
    memory_mb: int

    def to_json(self) -> str:
        """The order on one line."""
        return json.dumps(asdict(self))

    def open(self) -> Work:
        """The work, ready to be done."""
        module, _, name = self.work.partition(":")
        work: Work = getattr(importlib.import_module(module), name)(**self.arguments)
        return work


def main() -> None:
    """Answer sources until the input ends, as it does when the parent dies in whatever way."""
    # What libraries print must not stand between the answers.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    order = Order(**json.loads(sys.stdin.buffer.readline()))
    try:
        work = order.open()
        _limit(order.memory_mb)
        _answer_all(work, order.seconds, sys.stdin.buffer, output)
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)
    except NightjarError as error:
        print(error, file=sys.stderr)
    except Exception as error:  # a fault of ours, told in one line
        print(f"{type(error).__name__}: {error}".partition("\n")[0], file=sys.stderr)
    else:
        return
    sys.exit(WORK_REFUSED)


def _answer_all(work: Work, seconds: float, sources: IO[bytes], output: IO[bytes]) -> None:
    with pa.ipc.open_stream(cast(Any, sources)) as batches:
        schema = answers_schema(work(batches.schema.empty_table()).rows.schema)
        with pa.ipc.new_stream(cast(Any, output), schema) as answers:
            output.flush()
            for batch in batches:
                for place in range(len(batch)):
                    signal.setitimer(signal.ITIMER_REAL, seconds)
                    answer = to_answer(work(pa.Table.from_batches([batch.slice(place, 1)])))
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    answers.write_batch(answer)
                    output.flush()


def _limit(memory_mb: int) -> None:
    # The default action ends the process, whatever code it is in; a parent may have left the signal blocked.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere the kernel takes the limit and does not keep it
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))


if __name__ == "__main__":
    main()
