"""An engine in a process of its own: whatever it dies of, every other request has its answer once."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from models.engine_child import read_answer, read_request, request_line
from models.engine_process import EngineProcessLanguageModel
from models.fake import FakeLanguageModel
from models.language import Request, Sampling, answers
from schemas.corpus import LanguageModelSettings
from schemas.errors import ModelError

FAKE = LanguageModelSettings(engine="fake")


def requests(*texts: str) -> list[Request]:
    return [Request([{"role": "user", "content": text}], Sampling(16)) for text in texts]


def numbered(count: int) -> list[Request]:
    return requests(*(f"Tell of thing {number}." for number in range(count)))


@pytest.fixture(scope="module")
def model() -> Iterator[EngineProcessLanguageModel]:
    opened = EngineProcessLanguageModel(FAKE, "model")
    yield opened
    opened.close()


@pytest.fixture
def deadly() -> Iterator[EngineProcessLanguageModel]:
    opened = EngineProcessLanguageModel(FAKE, "model", program="tests.models.deadly_engine")
    yield opened
    opened.close()


def test_it_answers_what_the_engine_answers(model: EngineProcessLanguageModel) -> None:
    schema = {"type": "object", "properties": {"word": {"type": "string", "maxLength": 5}}}
    sampling = Sampling(16, temperature=0.5, top_p=0.9, frequency_penalty=0.1, seed=3, stop=("\n", "\u2028"))
    asked = [*numbered(5), Request([{"role": "user", "content": 'line\u2028 "two"\n\n'}], sampling, schema)]
    assert answers(model, asked) == answers(FakeLanguageModel(), asked)
    assert answers(model, []) == []


def test_a_request_travels_unchanged() -> None:
    request = Request([{"role": "user", "content": "a\n\u2028b"}], Sampling(9, stop=("\n",)), {"type": "string"})
    line = request_line(7, request)
    assert line.count("\n") == 1
    assert read_request(line) == (7, request)
    assert read_answer('[3, {"text": "x", "prompt_tokens": 1, "output_tokens": 2, "finish_reason": "stop"}]\n')[0] == 3


def test_requests_may_follow_from_answers(model: EngineProcessLanguageModel) -> None:
    again: list[Request] = []

    def asked() -> Iterator[Request]:
        yield from numbered(10)
        while again:
            yield again.pop()

    seen = 0
    for _ in model.generate(asked()):
        seen += 1
        if seen == 1:
            again += requests("One more.")
    assert seen == 11


def test_engines_that_are_killed_lose_nothing_and_answer_nothing_twice(
    model: EngineProcessLanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    asked = numbered(400)
    made = {}
    for number, generation in model.generate(asked):
        assert number not in made
        made[number] = generation
        if len(made) in (50, 200):
            os.kill(model.process_id, signal.SIGKILL)
    assert [made[number] for number in range(400)] == answers(FakeLanguageModel(), asked)
    deaths = [json.loads(record.message) for record in caplog.records]
    assert [death["error"] for death in deaths] == ["it ended with status -9"] * 2
    assert all(death["asked_again"] > 0 for death in deaths)


def test_a_deadly_request_is_given_up_and_no_other(deadly: EngineProcessLanguageModel) -> None:
    asked = [*numbered(3), *requests("This is deadly."), *numbered(3)]
    made = answers(deadly, asked)
    assert [generation.finish_reason == "engine_died" for generation in made] == [False] * 3 + [True] + [False] * 3
    harmless = [*asked[:3], *asked[4:]]
    assert [*made[:3], *made[4:]] == answers(FakeLanguageModel(), harmless)


def test_engines_that_only_die_end_the_run(deadly: EngineProcessLanguageModel) -> None:
    with pytest.raises(ModelError, match=r"the engine of .* dies again and again: it ended with status -9"):
        answers(deadly, requests(*["This is deadly."] * 9))


def test_a_schema_that_takes_too_long_to_compile_ends_the_run(deadly: EngineProcessLanguageModel) -> None:
    with pytest.raises(ModelError, match="no grammar was made of an output schema in 30 seconds"):
        answers(deadly, requests("first", "This is endless."))
    assert answers(deadly, numbered(2)) == answers(FakeLanguageModel(), numbered(2)), "the next call has a new engine"


def test_a_call_that_is_left_leaves_nothing_for_the_next(model: EngineProcessLanguageModel) -> None:
    begun = model.generate(numbered(100))
    next(begun)
    begun.close()
    assert answers(model, numbered(2)) == answers(FakeLanguageModel(), numbered(2))


def test_what_the_engine_refuses_is_one_line() -> None:
    with pytest.raises(ModelError, match="a language model that is not there"):
        EngineProcessLanguageModel(FAKE, "model", program="tests.models.refusing_engine")


def test_what_takes_too_long_ends_its_process() -> None:
    program = "from models.grammar import time_limit\nwith time_limit(0.05):\n  while True: pass"
    finished = subprocess.run([sys.executable, "-c", program], check=False)
    assert finished.returncode == -signal.SIGALRM
    in_time = "from models.grammar import time_limit\nwith time_limit(5): pass\nimport time; time.sleep(0.1)"
    assert subprocess.run([sys.executable, "-c", in_time], check=False).returncode == 0


def test_an_engine_ends_with_its_parent() -> None:
    program = (
        "import os, signal; from models.engine_process import EngineProcessLanguageModel;"
        "from schemas.corpus import LanguageModelSettings;"
        "made = EngineProcessLanguageModel(LanguageModelSettings(engine='fake'), 'x');"
        "print(made.process_id, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(finished.stdout)).wait(timeout=60)
