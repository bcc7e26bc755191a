"""Any server that speaks OpenAI's chat API: vLLM's own, llama.cpp's, or a hosted one."""

import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from typing import TYPE_CHECKING, Any

from anyio.from_thread import start_blocking_portal

from models.control_tokens import COMMON_CONTROL_TOKENS, neutralise_prompt
from models.language import TOO_LONG, Generation, JsonSchema, Request, Sampling
from schemas.corpus import LanguageModelSettings
from schemas.errors import ModelError, SetupError
from schemas.hashing import fingerprint

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAIError
    from openai.types.chat import ChatCompletion

# What servers say to a prompt that does not fit; the API has no code for it that all of them use.
_SAYS_TOO_LONG = re.compile(
    r"context[ _-](?:length|size|window)|maximum (?:input|model) length|too long", re.IGNORECASE
)


def server_model_id(settings: LanguageModelSettings) -> str:
    """Fingerprint of the name that the server knows the model by: nobody can see its weights from here."""
    return fingerprint({"server_model": settings.model})


class ServerLanguageModel:
    """A model behind an OpenAI-compatible server.

    A request that meets no server, an overloaded one (429) or a broken one (5xx) is tried again with growing
    pauses of up to eight seconds, or as long as the server asks for: a server may die and come back.

    Args:
        settings: with the server's `url` and the `model` by the name it has there.

    Raises:
        SetupError: the environment variable that is to hold the key is not set.
    """

    def __init__(self, settings: LanguageModelSettings) -> None:
        self.model_id = server_model_id(settings)
        self._settings = settings
        self._key = _key(settings.api_key_variable)

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Generation]]:
        """See `LanguageModel.generate`."""
        from openai import AsyncOpenAI

        settings, numbered = self._settings, enumerate(requests)
        under_way: dict[Future[Generation], int] = {}
        # In a thread with a loop of its own: a notebook's is running already, and an interrupt ends every request.
        with start_blocking_portal() as portal:
            client = AsyncOpenAI(
                base_url=settings.url, api_key=self._key, max_retries=settings.retries, timeout=settings.timeout_seconds
            )
            with portal.wrap_async_context_manager(client):
                while True:
                    for number, request in islice(numbered, settings.concurrency - len(under_way)):
                        under_way[portal.start_task_soon(self._one, client, request)] = number
                    if not under_way:
                        return
                    for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                        yield under_way.pop(done), done.result()

    async def _one(self, client: "AsyncOpenAI", request: Request) -> Generation:
        from openai import BadRequestError, OpenAIError

        messages: Any = neutralise_prompt(request.prompt, COMMON_CONTROL_TOKENS)
        asked = _parameters(request.sampling, request.schema)
        try:
            answer = await client.chat.completions.create(messages=messages, model=self._settings.model, **asked)
        except OpenAIError as error:
            if isinstance(error, BadRequestError) and _SAYS_TOO_LONG.search(str(error)):
                return TOO_LONG
            raise self._failure(error) from error
        return _generation(answer)

    def _failure(self, error: "OpenAIError") -> ModelError:
        from openai import APIConnectionError, InternalServerError, RateLimitError

        passing = isinstance(error, APIConnectionError | InternalServerError | RateLimitError)
        return ModelError(
            f"the model server failed: {' '.join(str(error).split())[:300]}",
            where=self._settings.url,
            left_behind="Committed rows stay",
            remedy="See that it runs, then run again to go on" if passing else "Correct [language_model]",
        )


def _key(variable: str) -> str:
    if not variable:
        return "none"  # servers without accounts take any
    if not os.environ.get(variable):
        raise SetupError(
            f"the environment variable {variable} is not set",
            where="language_model.api_key_variable",
            remedy=f"Put the server's key into it: export {variable}=...",
        )
    return os.environ[variable]


def _parameters(sampling: Sampling, schema: JsonSchema | None) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "frequency_penalty": sampling.frequency_penalty,
        "seed": sampling.seed,
    }
    if sampling.stop:
        asked["stop"] = list(sampling.stop)
    if schema:
        named = {"name": "output", "schema": dict(schema), "strict": True}
        asked["response_format"] = {"type": "json_schema", "json_schema": named}
    return asked


def _generation(completion: "ChatCompletion") -> Generation:
    choice, usage = completion.choices[0], completion.usage
    return Generation(
        text=choice.message.content or "",
        prompt_tokens=usage.prompt_tokens if usage else 0,
        output_tokens=usage.completion_tokens if usage else 0,
        finish_reason="length" if choice.finish_reason == "length" else "stop",
    )
