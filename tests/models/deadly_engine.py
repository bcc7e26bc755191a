"""A child of `models.engine_process` whose engine dies of any prompt with the word deadly in it."""

import os
import signal
from collections.abc import Iterable, Iterator

from models import engine_child
from models.fake import FakeLanguageModel
from models.language import Generation, Request


class DeadlyLanguageModel(FakeLanguageModel):
    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Generation]]:
        yield from super().generate(map(die_of_it, requests))


def die_of_it(request: Request) -> Request:
    if "deadly" in request.prompt[-1]["content"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return request


if __name__ == "__main__":
    engine_child.FakeLanguageModel = DeadlyLanguageModel
    engine_child.main()
