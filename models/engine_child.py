"""The engine's side of `models.engine_process`: answers requests line by line until its input ends.

`python -m models.engine_child` reads settings from its first line and says that it is ready. Then requests come, each
with its number; a line without one ends a call. What breaks here breaks this process and no other.
"""

import json
import os
import queue
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from typing import IO

from models.fake import FakeLanguageModel
from models.folders import model_folder
from models.language import Generation, Request, Sampling
from models.vllm_engine import VllmLanguageModel
from schemas.corpus import LanguageModelSettings
from schemas.errors import NightjarError

REFUSAL = '{"refused"'
"""How the last line of an engine begins that says what is wrong: another one would say the same."""
REFUSED = 70
"""Its exit status (sysexits.h, EX_SOFTWARE)."""


def request_line(number: int, request: Request) -> str:
    """A request and its number as one line of JSON."""
    return json.dumps([number, list(request.prompt), asdict(request.sampling), request.schema]) + "\n"


def read_request(line: str) -> tuple[int, Request]:
    """What `request_line` made a line of."""
    number, prompt, sampling, schema = json.loads(line)
    return number, Request(prompt, Sampling(**sampling | {"stop": tuple(sampling["stop"])}), schema)


def answer_line(number: int, generation: Generation) -> str:
    """An answer and the number of its request as one line of JSON."""
    return json.dumps([number, asdict(generation)]) + "\n"


def read_answer(line: str) -> tuple[int, Generation]:
    """What `answer_line` made a line of."""
    number, generation = json.loads(line)
    return number, Generation(**generation)


def main() -> None:
    """Answer requests until the input ends, as it does when the parent dies in whatever way."""
    # What libraries print must not stand between the answers.
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        model = _open(LanguageModelSettings.model_validate_json(sys.stdin.readline()))
        _say(output, json.dumps({"room": model.room}) + "\n")
        _answer_calls(model, output)
    except NightjarError as error:
        _say(output, json.dumps({"refused": vars(error)}) + "\n")
        os._exit(REFUSED)  # threads of the engine may still be at work


def _open(settings: LanguageModelSettings) -> VllmLanguageModel | FakeLanguageModel:
    if settings.engine == "fake":
        return FakeLanguageModel(settings.context_tokens)
    return VllmLanguageModel(model_folder(settings.model), settings)


def _answer_calls(model: VllmLanguageModel | FakeLanguageModel, output: IO[str]) -> None:
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    # Always reading, so that the parent never waits to write while this process waits to write to it.
    threading.Thread(target=_read_all, args=(lines,), daemon=True).start()
    while True:
        numbers: list[int] = []
        for place, generation in model.generate(_requests(lines, numbers)):
            _say(output, answer_line(numbers[place], generation))


def _read_all(lines: "queue.SimpleQueue[str]") -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)  # the parent is gone, and nobody waits for what is under way


def _requests(lines: "queue.SimpleQueue[str]", numbers: list[int]) -> Iterator[Request]:
    """Requests of one call; their numbers, which need not be in order, are put down as they come."""
    while (line := lines.get()).strip():
        number, request = read_request(line)
        numbers.append(number)
        yield request


def _say(output: IO[str], line: str) -> None:
    output.write(line)
    output.flush()


if __name__ == "__main__":
    main()
