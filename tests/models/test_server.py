"""A model behind a server: what is asked, what counts as too long, and what a server may go through."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from models.language import Message, Request, Sampling, answers
from models.opening import language_model_id, open_language_model
from models.server import ServerLanguageModel
from schemas.corpus import LanguageModelSettings
from schemas.errors import ModelError, SetupError

SCHEMA = {"type": "object", "properties": {"words": {"type": "array", "maxItems": 2, "items": {"enum": ["a"]}}}}
TOO_LONG = "This model's maximum context length is 1024 tokens. However, your request has 9000 input tokens."


class ChatServer(ThreadingHTTPServer):
    """Says again what it was told last, after the statuses that it was told to give first."""

    allow_reuse_address = True

    def __init__(self, port: int = 0, statuses: tuple[int, ...] = (), seconds: float = 0.0) -> None:
        super().__init__(("127.0.0.1", port), ChatHandler)
        self.statuses = list(statuses)
        self.seconds = seconds
        self.asked: list[dict[str, Any]] = []
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()


class ChatHandler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append(body | {"key": self.headers["Authorization"]})
            self.server.under_way += 1
            self.server.most_under_way = max(self.server.most_under_way, self.server.under_way)
            status = self.server.statuses.pop(0) if self.server.statuses else 200
        time.sleep(self.server.seconds)
        said = body["messages"][-1]["content"]
        with self.server.lock:
            self.server.under_way -= 1
        if "long" in said:
            return self._answer(400, {"error": {"message": TOO_LONG}})
        if status != 200:
            return self._answer(status, {"error": {"message": f"no such luck {status}"}})
        choice = {"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": said}}
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        return self._answer(200, {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage})

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(server: ChatServer) -> Iterator[ChatServer]:
    with server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


def model_at(server: ChatServer, **changes: object) -> ServerLanguageModel:
    settings = {"engine": "server", "url": f"http://127.0.0.1:{server.server_port}/v1", "model": "small"}
    return ServerLanguageModel(LanguageModelSettings.model_validate(settings | changes))


def ask(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def texts(model: ServerLanguageModel, *prompts: str) -> list[str]:
    return [made.text for made in answers(model, [Request(ask(prompt), Sampling(9)) for prompt in prompts])]


def test_what_is_asked_and_what_comes_back() -> None:
    with serving(ChatServer()) as server:
        sampling = Sampling(9, temperature=0.5, top_p=0.9, frequency_penalty=0.1, seed=3, stop=("\n",))
        requests = [Request(ask(said), sampling, SCHEMA) for said in ("hi <|im_end|>", "a long story")]
        made, long = answers(model_at(server), requests)
    assert (made.text, made.prompt_tokens, made.output_tokens, made.finish_reason) == ("hi < |im_end|>", 5, 2, "length")
    assert (long.text, long.prompt_tokens, long.finish_reason) == ("", 0, "too_long")
    asked = next(body for body in server.asked if "hi" in body["messages"][0]["content"])
    assert asked["response_format"]["json_schema"]["schema"] == SCHEMA
    told = {"max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "frequency_penalty": 0.1, "seed": 3, "stop": ["\n"]}
    assert told | {"model": "small"} == {name: asked[name] for name in (*told, "model")}


def test_every_prompt_has_its_answer_and_requests_are_bounded() -> None:
    prompts = [str(number) for number in range(20)]
    with serving(ChatServer(seconds=0.05)) as server:
        assert texts(model_at(server, concurrency=4), *prompts) == prompts
        assert 1 < server.most_under_way <= 4


def test_an_overloaded_or_broken_server_is_asked_again() -> None:
    with serving(ChatServer(statuses=(429, 503))) as server:
        assert texts(model_at(server), "hello") == ["hello"]
        assert len(server.asked) == 3


def test_a_server_may_die_and_come_back() -> None:
    with serving(ChatServer()) as server:
        model, port = model_at(server), server.server_port
    said: list[str] = []
    waiting = threading.Thread(target=lambda: said.extend(texts(model, "hello", "again")))
    waiting.start()
    time.sleep(0.2)  # long enough for a first try that meets nobody
    with serving(ChatServer(port)):
        waiting.join(timeout=60)
    assert said == ["hello", "again"]


@pytest.mark.parametrize(
    ("statuses", "retries", "message"),
    [
        ((401,), 5, r"the model server failed: .*no such luck 401.*Correct \[language_model\]"),
        ((500, 500), 1, "no such luck 500.*See that it runs, then run again to go on"),
    ],
)
def test_what_no_waiting_mends_is_one_line(statuses: tuple[int, ...], retries: int, message: str) -> None:
    with serving(ChatServer(statuses=statuses)) as server, pytest.raises(ModelError, match=message):
        texts(model_at(server, retries=retries), "hello")


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(ChatServer()) as server:
        monkeypatch.setenv("SOME_KEY", "secret")
        assert texts(model_at(server, api_key_variable="SOME_KEY"), "hello") == ["hello"]
        assert server.asked[0]["key"] == "Bearer secret"
        monkeypatch.delenv("SOME_KEY")
        with pytest.raises(SetupError, match="environment variable SOME_KEY is not set"):
            model_at(server, api_key_variable="SOME_KEY")


def test_a_server_is_known_by_the_models_name_alone() -> None:
    here = LanguageModelSettings(engine="server", url="http://a.example.org/v1", model="small")
    there = LanguageModelSettings(engine="server", url="http://b.example.org/v1", model="small", concurrency=2)
    other = here.model_copy(update={"model": "large"})
    assert language_model_id(here) == language_model_id(there) != language_model_id(other)
    assert open_language_model(here).model_id == language_model_id(here)
