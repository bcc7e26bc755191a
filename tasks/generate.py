"""Generation: from a batch of sources to checked rows. Knows no table store and no scheduler."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from models.language import Generation, LanguageModel, Prompt, Sampling
from schemas.catalog import table_named
from schemas.quarantine import Reason
from tasks.outcome import Outcome, Rejection
from tasks.output import PARSERS, BadOutput, Parsed, read_output
from tasks.prompts import build_prompt, fixed_text
from tasks.recipes import Recipe

RETRY_SEED = 1_000_003
RETRY_TEMPERATURE = 0.5
RETRY_TOP_P = 0.9
STAMPED = ("created_at", "run_id")
SOURCE_KEYS = {"features": "text_hash", "synthetic_queries": "text_hash", "contexts": "question_id"}
SOURCE_TEXTS = {"features": "text", "synthetic_queries": "text", "contexts": "question"}


@dataclass(frozen=True)
class Attempt:
    """One generation and what became of it: a value, or the reason there is none."""

    generation: Generation
    verdict: Parsed | BadOutput


def write_batch(recipe: Recipe, recipe_id: str, model: LanguageModel, sources: pa.Table) -> Outcome:
    """Have a model write for a batch of sources, each sample retried once if it is no good.

    Args:
        recipe_id: of the recipe with this very model.
        sources: `text_hash`, `heading_path` and `text`; or `question_id` and `question` for contexts. Keep the
            order when several recipes go over the same sources, and a batch's prompts stay cached.

    Returns:
        Rows of the recipe's table without `created_at` and `run_id`; one rejection for every source without
        a single usable sample, with the reason of its first attempt; the tokens of all attempts.

    Raises:
        ModelError: the model does not answer.
    """
    empty, worth = _split(recipe, sources.to_pylist())
    prompts = [build_prompt(recipe, source) for source in worth]
    samples = [_sample(recipe, model, prompts, number) for number in range(recipe.samples)] if prompts else []
    spent = [attempt.generation for sample in samples for attempts in sample for attempt in attempts]
    keys = [source[SOURCE_KEYS[recipe.table]] for source in worth]
    return Outcome(
        rows=_rows(recipe, {"recipe_id": recipe_id, "model_id": model.model_id}, keys, samples),
        rejections=(*empty, *_rejections(keys, samples)),
        prompt_tokens=sum(generation.prompt_tokens for generation in spent),
        output_tokens=sum(generation.output_tokens for generation in spent),
    )


def _split(recipe: Recipe, sources: Sequence[dict[str, Any]]) -> tuple[list[Rejection], list[dict[str, Any]]]:
    """Rejections of the sources without text, and the others."""
    key, text = SOURCE_KEYS[recipe.table], SOURCE_TEXTS[recipe.table]
    worth = [source for source in sources if source[text].strip()]
    empty = [source for source in sources if not source[text].strip()]
    return [Rejection(source[key], Reason.EMPTY_TEXT, "the source has no text") for source in empty], worth


def _sample(recipe: Recipe, model: LanguageModel, prompts: Sequence[Prompt], number: int) -> list[list[Attempt]]:
    """The attempts at one sample of each prompt: one, or two where the first was no good."""
    sampling = _sampling(recipe, number)
    attempts = [[attempt] for attempt in _attempt(recipe, model, prompts, sampling)]
    again = [index for index, (first,) in enumerate(attempts) if _worth_retrying(first)]
    if again:
        retries = _attempt(recipe, model, [prompts[index] for index in again], _retry(sampling))
        for index, retry in zip(again, retries, strict=True):
            attempts[index].append(retry)
    return attempts


def _sampling(recipe: Recipe, number: int) -> Sampling:
    decoding = recipe.decoding
    return Sampling(
        max_tokens=decoding.max_tokens,
        temperature=decoding.temperature,
        top_p=decoding.top_p,
        frequency_penalty=decoding.frequency_penalty,
        seed=decoding.seed + number,
        stop=decoding.stop,
    )


def _retry(sampling: Sampling) -> Sampling:
    """Another seed, some chance for it to count in, and twice the room."""
    return replace(
        sampling,
        max_tokens=2 * sampling.max_tokens,
        temperature=max(sampling.temperature, RETRY_TEMPERATURE),
        top_p=min(sampling.top_p, RETRY_TOP_P),
        seed=sampling.seed + RETRY_SEED,
    )


def _attempt(recipe: Recipe, model: LanguageModel, prompts: Sequence[Prompt], sampling: Sampling) -> list[Attempt]:
    generations = model.generate(prompts, sampling, recipe.output)
    return [Attempt(generation, _judge(recipe, generation)) for generation in generations]


def _judge(recipe: Recipe, generation: Generation) -> Parsed | BadOutput:
    try:
        return read_output(generation, PARSERS[recipe.parser], recipe.output, fixed_text(recipe))
    except BadOutput as bad:
        return bad


def _worth_retrying(attempt: Attempt) -> bool:
    return isinstance(attempt.verdict, BadOutput) and attempt.verdict.reason is not Reason.TOO_LONG


def _rows(
    recipe: Recipe, stamp: Mapping[str, str], keys: Sequence[str], samples: Sequence[list[list[Attempt]]]
) -> pa.Table:
    columns = [field for field in table_named(recipe.table).schema if field.name not in STAMPED]
    rows = [
        {SOURCE_KEYS[recipe.table]: key, **stamp, **_values(recipe, number, attempts[-1].verdict), **_cost(attempts)}
        for number, sample in enumerate(samples)
        for key, attempts in zip(keys, sample, strict=True)
        if isinstance(attempts[-1].verdict, Parsed)
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema(columns))


def _values(recipe: Recipe, number: int, parsed: Parsed) -> dict[str, Any]:
    if recipe.table == "features":
        return {"feature": recipe.name, "text": parsed.text, "items": parsed.items}
    if recipe.table == "synthetic_queries":
        return {"sample": number, "query": parsed.text}
    return {"sample": number, "context": parsed.text}


def _cost(attempts: Sequence[Attempt]) -> dict[str, int]:
    made = attempts[-1].generation
    return {"prompt_tokens": made.prompt_tokens, "output_tokens": made.output_tokens}


def _rejections(keys: Sequence[str], samples: Sequence[list[list[Attempt]]]) -> list[Rejection]:
    """One for every source none of whose samples was any good."""
    rejected = []
    for index, key in enumerate(keys):
        tried = [sample[index] for sample in samples]
        first = tried[0][0]
        if isinstance(first.verdict, BadOutput) and all(isinstance(each[-1].verdict, BadOutput) for each in tried):
            verdict = first.verdict
            rejected.append(Rejection(key, verdict.reason, verdict.detail, first.generation.text or None))
    return rejected
