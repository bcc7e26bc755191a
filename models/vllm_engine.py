"""vLLM inside this process."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from models.control_tokens import control_token_pattern, neutralise_prompt
from models.environment import let_modules_be_inspected, prepare_environment
from models.folders import model_id
from models.language import TOO_LONG, Generation, JsonSchema, Prompt, Sampling
from schemas.corpus import LanguageModelSettings, ParallelSettings
from schemas.errors import ModelError

if TYPE_CHECKING:
    from vllm import LLM, RequestOutput, SamplingParams
    from vllm.tokenizers import TokenizerLike


class VllmLanguageModel:
    """A Hugging Face causal model served by vLLM, on whatever device vLLM was built for.

    Args:
        folder: of the model: safetensors, tokenizer, chat template.
        settings: context, memory, and how the work is spread over devices.

    Raises:
        ModelError: vLLM is not installed, or refuses the model.
    """

    def __init__(self, folder: Path, settings: LanguageModelSettings) -> None:
        self.model_id = model_id(folder)
        self._context_tokens = settings.context_tokens
        self._engine = _start(folder, settings.context_tokens, settings.memory_gib, settings.parallel)
        self._tokenizer: Any = self._engine.get_tokenizer()
        self._control_tokens = control_token_pattern(_control_tokens(self._tokenizer))

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, schema: JsonSchema | None = None
    ) -> list[Generation]:
        """See `LanguageModel.generate`."""
        encoded = [self._encode(prompt) for prompt in prompts]
        fitting = [tokens for tokens in encoded if self._fits(tokens, sampling)]
        answers = iter(self._answer(fitting, _parameters(sampling, schema)))
        return [next(answers) if self._fits(tokens, sampling) else TOO_LONG for tokens in encoded]

    def _encode(self, prompt: Prompt) -> list[int]:
        safe = neutralise_prompt(prompt, self._control_tokens)
        text = self._tokenizer.apply_chat_template(safe, tokenize=False, add_generation_prompt=True)
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def _fits(self, tokens: Sequence[int], sampling: Sampling) -> bool:
        return len(tokens) + sampling.max_tokens <= self._context_tokens

    def _answer(self, encoded: Sequence[list[int]], parameters: "SamplingParams") -> list[Generation]:
        if not encoded:
            return []
        try:
            outputs = self._engine.generate(list(encoded), parameters, use_tqdm=False)
        except Exception as error:  # whatever breaks in the engine, the caller learns that nothing came back
            raise ModelError(f"vLLM failed: {_one_line(error)}", remedy="Run again to go on") from error
        return [_generation(output) for output in outputs]


BFLOAT16_CPUS = ("avx512_bf16", "amx_bf16", "bf16")  # names torch gives to x86 and Arm instruction sets


def _start(folder: Path, context_tokens: int, memory_gib: float, parallel: ParallelSettings) -> "LLM":
    prepare_environment()
    try:
        from vllm import LLM

        let_modules_be_inspected()
        return LLM(
            model=str(folder),
            dtype=_precision(),
            max_model_len=context_tokens,
            enforce_eager=True,  # compiling costs more than it saves on a night's work
            enable_prefix_caching=True,
            kv_cache_memory_bytes=int(memory_gib * 2**30),
            disable_log_stats=True,
            use_tqdm_on_load=False,
            # White space in JSON costs tokens.
            structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
            seed=0,
            **parallel.model_dump(exclude_none=True),
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


def _parameters(sampling: Sampling, schema: JsonSchema | None) -> "SamplingParams":
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

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
