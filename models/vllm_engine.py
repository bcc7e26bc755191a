"""vLLM inside this process."""

import json
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from models.control_tokens import control_token_pattern, neutralise_prompt
from models.environment import prepare_environment
from models.folders import model_id
from models.grammar import compile_schema, time_limit
from models.language import TOO_LONG, Generation, JsonSchema, Prompt, Request
from schemas.corpus import LanguageModelSettings
from schemas.errors import ModelError

if TYPE_CHECKING:
    from vllm import LLM, RequestOutput, SamplingParams
    from vllm.tokenizers import TokenizerLike


class VllmLanguageModel:
    """A Hugging Face causal model run by vLLM in this very process, on whatever device vLLM was built for.

    Nothing protects the process from what breaks in the engine: it is at home in `models.engine_process`.

    Args:
        folder: of the model: safetensors, tokenizer, chat template.
        settings: context, memory, and how the work is spread over devices.

    Attributes:
        room: requests that it works on at the same time, with some that wait for the next place.

    Raises:
        ModelError: vLLM is not installed, or refuses the model.
    """

    def __init__(self, folder: Path, settings: LanguageModelSettings) -> None:
        self.model_id = model_id(folder)
        self._context_tokens = settings.context_tokens
        self._schema_seconds = settings.schema_seconds
        self._llm = start_engine(folder, settings)
        self._tokenizer: Any = self._llm.get_tokenizer()
        self._control_tokens = control_token_pattern(_control_tokens(self._tokenizer))
        at_once = self._llm.llm_engine.vllm_config.scheduler_config.max_num_seqs
        self.room = at_once + at_once // 4
        self._compiled: set[str] = set()
        self._asked = count()

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Generation]]:
        """See `LanguageModel.generate`.

        Raises:
            ModelError: also where vLLM refuses an output schema.
        """
        numbered = enumerate(requests)
        under_way: dict[str, int] = {}
        try:
            while True:
                yield from self._take(numbered, under_way)
                if not under_way:
                    return
                for output in self._llm.llm_engine.step():
                    if output.finished:
                        yield under_way.pop(output.request_id), _generation(cast("RequestOutput", output))
        finally:
            self._llm.llm_engine.abort_request(list(under_way))

    def _take(
        self, numbered: Iterator[tuple[int, Request]], under_way: dict[str, int]
    ) -> Iterator[tuple[int, Generation]]:
        """Hand requests to the engine while it has room; those that do not fit its context are answered at once."""
        while len(under_way) < self.room and (taken := next(numbered, None)):
            number, request = taken
            tokens = self._encode(request.prompt)
            if len(tokens) + request.sampling.max_tokens > self._context_tokens:
                yield number, TOO_LONG
                continue
            self._refuse_slow(request.schema)
            name = f"request-{next(self._asked)}"
            self._add(name, tokens, request_parameters(request))
            under_way[name] = number

    def _add(self, name: str, tokens: list[int], parameters: "SamplingParams") -> None:
        try:
            self._llm.llm_engine.add_request(name, {"prompt_token_ids": tokens}, parameters)
        except ValueError as error:  # of a request; the engine is well
            raise ModelError(f"vLLM refuses a request: {_one_line(error)}", remedy="Correct the recipe") from error

    def _refuse_slow(self, schema: JsonSchema | None) -> None:
        """Compile a schema that is new, in a limited time: the engine itself would wait for it without end."""
        if schema is None or (text := json.dumps(schema)) in self._compiled:
            return
        with time_limit(self._schema_seconds):
            compile_schema(self._tokenizer, text)
        self._compiled.add(text)

    def _encode(self, prompt: Prompt) -> list[int]:
        safe = neutralise_prompt(prompt, self._control_tokens)
        text = self._tokenizer.apply_chat_template(safe, tokenize=False, add_generation_prompt=True)
        return list(self._tokenizer.encode(text, add_special_tokens=False))


BFLOAT16_CPUS = ("avx512_bf16", "amx_bf16", "bf16")  # names torch gives to x86 and Arm instruction sets


def start_engine(folder: Path, settings: LanguageModelSettings) -> "LLM":
    """vLLM with a model loaded.

    Raises:
        ModelError: vLLM is not installed, or refuses the model.
    """
    prepare_environment()
    try:
        from vllm import LLM
        from vllm.platforms import current_platform

        return LLM(
            model=str(folder),
            dtype=_precision(),
            max_model_len=settings.context_tokens,
            enforce_eager=True,  # compiling costs more than it saves on a night's work
            enable_prefix_caching=True,
            # On a CPU, half of a prompt that has a seed kills the engine: vLLM wants to turn back a generator there.
            enable_chunked_prefill=not current_platform.is_cpu(),
            kv_cache_memory_bytes=int(settings.memory_gib * 2**30),
            disable_log_stats=True,
            use_tqdm_on_load=False,
            # White space in JSON costs tokens.
            structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
            seed=0,
            **settings.parallel.model_dump(exclude_none=True),
        )
    except ImportError as error:
        raise ModelError("vLLM is not installed", remedy="Run: make install") from error
    except Exception as error:  # vLLM raises types of its own, all of them meaning: no engine
        raise ModelError(f"vLLM does not start: {_one_line(error)}", where=str(folder)) from error


def _precision() -> Literal["auto", "float32"]:
    """The weights' own, but float32 on a CPU that only emulates bfloat16, where it is faster."""
    import torch

    native = torch.cuda.is_available() or any(torch.cpu.get_capabilities().get(name) for name in BFLOAT16_CPUS)
    return "auto" if native else "float32"


def _control_tokens(tokenizer: "TokenizerLike") -> list[str]:
    """Every token that stands for itself in text, special or added."""
    return [*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()]


def request_parameters(request: Request) -> "SamplingParams":
    """What vLLM is told of how to answer a request."""
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    sampling, schema = request.sampling, request.schema
    return SamplingParams(
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        frequency_penalty=sampling.frequency_penalty,
        seed=sampling.seed if sampling.temperature else None,
        stop=list(sampling.stop),
        structured_outputs=StructuredOutputsParams(json=dict(schema)) if schema else None,
    )


def _generation(output: "RequestOutput") -> Generation:
    completion = output.outputs[0]
    return Generation(
        text=completion.text,
        prompt_tokens=len(output.prompt_token_ids or ()),
        output_tokens=len(completion.token_ids),
        finish_reason="length" if completion.finish_reason == "length" else "stop",
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
