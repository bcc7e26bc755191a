"""Output schemas, compiled to the grammar that guides a model: what a small mistake can make endless."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from schemas.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def compile_schema(tokenizer: "PreTrainedTokenizerBase", schema: str) -> None:
    """Compile a JSON schema as vLLM does, and throw the grammar away.

    Args:
        tokenizer: Hugging Face tokenizer whose tokens the grammar is over.
        schema: as JSON.

    Raises:
        ModelError: it is no schema that xgrammar compiles.
    """
    import xgrammar

    try:
        tokens = xgrammar.TokenizerInfo.from_huggingface(tokenizer)
        xgrammar.GrammarCompiler(tokens).compile_json_schema(schema, any_whitespace=False)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:300]
        raise ModelError(f"no grammar can be made of an output schema: {first}", remedy="Correct the recipe") from error


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End this process by SIGALRM where its body takes longer: nothing else ends compiled code that never returns."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
