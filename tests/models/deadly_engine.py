"""A child of `models.engine_process` whose engine dies of a deadly prompt and compiles for an endless one's schema."""

import os
import signal
import time
from collections.abc import Iterable, Iterator

from models import engine_child
from models.fake import FakeLanguageModel
from models.grammar import time_limit
from models.language import Generation, Request


class DeadlyLanguageModel(FakeLanguageModel):
    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Generation]]:
        yield from super().generate(map(die_of_it, requests))


def die_of_it(request: Request) -> Request:
    if "deadly" in request.prompt[-1]["content"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if "endless" in request.prompt[-1]["content"]:
        with time_limit(0.01):
            time.sleep(60)
    return request


if __name__ == "__main__":
    engine_child.FakeLanguageModel = DeadlyLanguageModel
    engine_child.main()
