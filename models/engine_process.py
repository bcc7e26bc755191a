"""A language model in a process of its own, so that an engine that dies takes nothing with it.

What was under way when it died is asked of a new engine. A request that was there twice is asked alone, and one that
kills an engine alone is given up: one poisonous prompt costs three engines, and no other prompt its answer.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from models.engine_child import REFUSAL, read_answer, request_line
from models.language import ENGINE_DIED, Generation, Request
from schemas.corpus import LanguageModelSettings
from schemas.errors import ModelError

CHILD = "models.engine_child"
ROOT = Path(__file__).resolve().parent.parent
TOGETHER, ALONE = 1, 2
"""Deaths after which a request is asked again with others, and alone; after one more it is given up."""
MOST_DEATHS_IN_A_ROW = 5
SECONDS_TO_END = 10
LONGEST_MESSAGE = 300
LONGEST_MESSAGE_LOGGED = 60
LOG = logging.getLogger("nightjar")


class EngineProcessLanguageModel:
    """A model whose engine runs in a child process, which is started at once and again whenever it dies.

    Args:
        settings: of an engine that runs on this machine.
        model_id: fingerprint of the weights.
        program: module that is run as the child.

    Raises:
        ModelError: the engine does not start.
    """

    def __init__(self, settings: LanguageModelSettings, model_id: str, program: str = CHILD) -> None:
        self.model_id = model_id
        self._settings = settings
        self._start = partial(_Child, settings, program)
        self._child = self._start()

    @property
    def process_id(self) -> int:
        """Of the engine that answers now."""
        return self._child.process.pid

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Generation]]:
        """See `LanguageModel.generate`.

        Raises:
            ModelError: also where engine after engine dies without an answer, or a schema takes too long to compile.
        """
        call, deaths = _Call(requests), 0
        try:
            while True:
                try:
                    for answer in self._ask(call):
                        deaths = 0
                        yield answer
                    return
                except _EngineDiedError as died:
                    deaths += 1
                    _log_death(self.model_id, died, len(call.under_way))
                    if deaths == MOST_DEATHS_IN_A_ROW:
                        raise _gives_up(self._settings, "dies again and again", died) from died
                    yield from call.after_death()
                    self._child = self._start()
        finally:
            if call.under_way:  # nobody waits for it any more
                self._child.end()

    def close(self) -> None:
        """End the engine."""
        self._child.end()

    def _ask(self, call: "_Call") -> Iterator[tuple[int, Generation]]:
        if self._child.ended:
            self._child = self._start()
        while True:
            for number, request in call.next(self._child.room):
                self._child.ask(number, request)
            if not call.under_way:
                return
            if len(call.under_way) < self._child.room:
                self._child.expect_no_more()
            number, generation = read_answer(self._child.receive())
            del call.under_way[number]
            yield number, generation


class _EngineDiedError(Exception):
    """The engine's process ended with requests under way."""


class _Call:
    """The requests of one `generate`: not yet taken, under way, and to be asked again.

    Attributes:
        under_way: requests sent and not answered, by their number.
    """

    def __init__(self, requests: Iterable[Request]) -> None:
        self.under_way: dict[int, Request] = {}
        self._fresh = enumerate(requests)
        self._together: deque[tuple[int, Request]] = deque()
        self._alone: deque[tuple[int, Request]] = deque()
        self._deaths: Counter[int] = Counter()

    def next(self, room: int) -> Iterator[tuple[int, Request]]:
        """Requests to send now, which are then under way."""
        while len(self.under_way) < room and (taken := self._taken()):
            self.under_way[taken[0]] = taken[1]
            yield taken

    def after_death(self) -> Iterator[tuple[int, Generation]]:
        """Sort what was under way by how often that happened; what is given up is answered."""
        died, self.under_way = self.under_way, {}
        self._deaths.update(list(died))
        for number, request in died.items():
            if self._deaths[number] > ALONE:
                yield number, ENGINE_DIED
            else:
                again = self._together if self._deaths[number] == TOGETHER else self._alone
                again.append((number, request))

    def _taken(self) -> tuple[int, Request] | None:
        if self._together:
            return self._together.popleft()
        fresh = next(self._fresh, None)
        if fresh is None and self._alone and not self.under_way:
            return self._alone.popleft()
        return fresh


class _Child:
    """An engine's process.

    Attributes:
        room: requests that are sent before answers are waited for.

    Raises:
        ModelError: the engine does not start.
    """

    def __init__(self, settings: LanguageModelSettings, program: str) -> None:
        self.ended = False
        self._expects_more = False
        self._settings = settings
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
            start_new_session=True,  # an interrupt is for the run, which ends its engine itself
        )
        try:
            self._send(settings.model_dump_json() + "\n")
            ready = json.loads(self.receive())
        except _EngineDiedError as died:
            raise _gives_up(settings, "does not start", died) from died
        # More than the engine works on: it must not wait for the next request while answers are read here.
        self.room = int(ready["room"]) * 3 // 2 + 1

    def ask(self, number: int, request: Request) -> None:
        """Send a request; raises as `receive`."""
        self._send(request_line(number, request))
        self._expects_more = True

    def expect_no_more(self) -> None:
        """Tell the engine to wait for no further request before it answers; raises as `receive`."""
        if self._expects_more:
            self._send("\n")
            self._expects_more = False

    def _send(self, line: str) -> None:
        assert self.process.stdin
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._last_words("") from None

    def receive(self) -> str:
        """The next line.

        Raises:
            ModelError: the engine has refused something.
            _EngineDiedError: it is gone.
        """
        assert self.process.stdout
        line = self.process.stdout.readline()
        if line.endswith("\n") and not line.startswith(REFUSAL):
            return line
        raise self._last_words(line)

    def end(self) -> None:
        """Kill the process, and those it has started."""
        if self.ended:
            return
        self.ended = True
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def _last_words(self, line: str) -> Exception:
        """What a process that says nothing more has died of."""
        assert self.process.stdout
        said = line or self.process.stdout.read()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(SECONDS_TO_END)
        self.end()
        if said.startswith(REFUSAL):
            return ModelError(**json.loads(said)["refused"])
        if self.process.returncode == -signal.SIGALRM:
            return ModelError(
                f"no grammar was made of an output schema in {self._settings.schema_seconds:g} seconds",
                remedy="Simplify the recipe's output, or raise schema_seconds under [language_model]",
            )
        return _EngineDiedError(self._complaint() or f"it ended with status {self.process.returncode}")

    def _complaint(self) -> str:
        """The end of what it said on standard error."""
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - LONGEST_MESSAGE))
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _log_death(model_id: str, died: Exception, under_way: int) -> None:
    """One JSON object a death. The error's text may quote a prompt: only what stands before its colon is logged."""
    said = str(died).partition(":")[0][:LONGEST_MESSAGE_LOGGED]
    told = {"event": "engine died", "model_id": model_id, "error": said, "asked_again": under_way}
    LOG.warning(json.dumps(told))


def _gives_up(settings: LanguageModelSettings, what: str, died: Exception) -> ModelError:
    return ModelError(
        f"the engine of {settings.model} {what}: {died}",
        left_behind="Committed rows stay",
        remedy="If memory is short, set a smaller memory_gib or context_tokens under [language_model], and run again",
    )
