"""Language models: what one is asked, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypedDict

JsonSchema = Mapping[str, Any]
FinishReason = Literal["stop", "length", "too_long"]


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
            prompt and `max_tokens` together exceed its context and it was not asked.
    """

    text: str
    prompt_tokens: int
    output_tokens: int
    finish_reason: FinishReason


TOO_LONG = Generation(text="", prompt_tokens=0, output_tokens=0, finish_reason="too_long")
"""The answer to a prompt that was not asked."""


class LanguageModel(Protocol):
    """Anything that continues conversations."""

    @property
    def model_id(self) -> str:
        """Fingerprint of the weights."""
        ...

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, schema: JsonSchema | None = None
    ) -> list[Generation]:
        """One generation per prompt, in the order of the prompts.

        Args:
            prompts: prompts that share a beginning are cheapest next to each other.
            sampling: the same for all of them.
            schema: JSON schema that every output is guided to; free text without one.

        Raises:
            ModelError: the model does not answer. A single prompt that is too long does not raise.
        """
        ...
