"""Language models: what one is asked, and what it answers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypedDict

JsonSchema = Mapping[str, Any]
FinishReason = Literal["stop", "length", "too_long", "engine_died"]


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


Prompt = Sequence[Message]


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen.

    Attributes:
        max_tokens: most tokens written per prompt.
        temperature: 0 always takes the likeliest token.
        top_p: nucleus that is sampled from.
        frequency_penalty: subtracted from a token's logit for every time it was written, against repetition.
        seed: of the random choice; every prompt starts from it anew.
        stop: strings that end an output and are left out of it.
    """

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    frequency_penalty: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Generation:
    """What a model made of one prompt.

    Attributes:
        text: what it wrote.
        prompt_tokens: tokens it read; 0 when the prompt was refused.
        output_tokens: tokens it wrote.
        finish_reason: "stop" when it ended on its own, "length" when `max_tokens` cut it off, "too_long" when
            prompt and `max_tokens` together exceed its context and it was not asked, "engine_died" when every engine
            that was asked died of it.
    """

    text: str
    prompt_tokens: int
    output_tokens: int
    finish_reason: FinishReason


TOO_LONG = Generation(text="", prompt_tokens=0, output_tokens=0, finish_reason="too_long")
"""The answer to a prompt that was not asked."""

ENGINE_DIED = Generation(text="", prompt_tokens=0, output_tokens=0, finish_reason="engine_died")
"""The answer to a prompt that no engine survives."""


@dataclass(frozen=True)
class Request:
    """One thing that a model is asked to write.

    Attributes:
        schema: JSON schema that the output is guided to; free text without one.
    """

    prompt: Prompt
    sampling: Sampling
    schema: JsonSchema | None = None


class LanguageModel(Protocol):
    """Anything that continues conversations."""

    @property
    def model_id(self) -> str:
        """Fingerprint of the weights."""
        ...

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Generation]]:
        """Answer requests as they can be answered, each with its number in the order of the requests, from 0.

        Args:
            requests: taken one by one as there is room for them, so that they may be many and may follow from
                answers. Those that share a beginning are cheapest next to each other.

        Raises:
            ModelError: the model does not answer. A single prompt that is too long does not raise.
        """
        ...


def answers(model: LanguageModel, requests: Sequence[Request]) -> list[Generation]:
    """One generation per request, in the order of the requests.

    Raises:
        ModelError: the model does not answer.
    """
    made = dict(model.generate(requests))
    return [made[number] for number in range(len(requests))]
