"""Work on a model waits its turn, where somebody has said how many may work at once."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol, TypeVar

from prefect.concurrency.sync import concurrency

T = TypeVar("T")

DEVICE_LIMIT = "nightjar-gpu"
"""Name of the limit: `prefect gcl create nightjar-gpu --limit 1`. Without it nobody waits."""


class TakingTurns(Protocol):
    """Makes a function that opens a model wait for its turn before the first one."""

    def __call__(self, open_model: Callable[[], T]) -> Callable[[], T]: ...


@contextmanager
def device() -> Iterator[TakingTurns]:
    """A place on the device, taken when a model is first opened, and given back at the end of the block.

    So a stage that finds nothing to do waits for nobody.
    """
    with ExitStack() as held:
        waiting = [concurrency(DEVICE_LIMIT, occupy=1)]

        def taking_turns(open_model: Callable[[], T]) -> Callable[[], T]:
            def opened() -> T:
                if waiting:
                    held.enter_context(waiting.pop())
                return open_model()

            return opened

        yield taking_turns
