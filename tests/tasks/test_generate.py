"""A batch of sources becomes rows, rejections and a ledger that adds up."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest

from models.fake import FakeLanguageModel
from models.language import Generation, JsonSchema, Prompt, Sampling
from schemas.catalog import table_named
from schemas.quarantine import Reason
from tasks.generate import RETRY_SEED, RETRY_TEMPERATURE, write_batch
from tasks.recipes import Recipe, load_recipe

Answer = Callable[[str, Sampling], Generation]
GOOD = json.dumps({"keywords": ["sorted list", "bisection", "insertion point"]})


class ScriptedModel:
    """Answers each prompt's last message by a function."""

    model_id = "scripted"

    def __init__(self, answer: Answer) -> None:
        self.asked: list[tuple[int, Sampling]] = []
        self._answer = answer

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, schema: JsonSchema | None = None
    ) -> list[Generation]:
        assert prompts, "an empty batch costs a call"
        assert schema is None or schema["type"] == "object"
        self.asked.append((len(prompts), sampling))
        return [self._answer(prompt[-1]["content"], sampling) for prompt in prompts]


def passages(*texts: str) -> pa.Table:
    return pa.table(
        {
            "text_hash": [f"hash-{number}" for number in range(len(texts))],
            "heading_path": pa.array([["Title"]] * len(texts), pa.list_(pa.string())),
            "text": pa.array(texts, pa.string()),
        }
    )


def questions(*texts: str) -> pa.Table:
    return pa.table({"question_id": [f"question-{number}" for number in range(len(texts))], "question": texts})


def sources(recipe: Recipe) -> pa.Table:
    texts = ("Bisection keeps a list sorted while new items arrive.", "Sockets wait for an answer until a timeout.")
    return questions(*texts) if recipe.table == "contexts" else passages(*texts)


@pytest.mark.parametrize("name", ["keywords", "summary", "query", "context"])
def test_every_shipped_recipe_makes_rows_of_its_table(name: str) -> None:
    recipe = load_recipe(name)
    outcome = write_batch(recipe, "recipe", FakeLanguageModel(), sources(recipe))
    declared = table_named(recipe.table).schema
    assert outcome.rows.schema == pa.schema([field for field in declared if field.name not in ("created_at", "run_id")])
    assert (outcome.rows.num_rows, outcome.rejections) == (2, ())
    assert set(outcome.rows["recipe_id"].to_pylist()) == {"recipe"}
    assert outcome.output_tokens == sum(row["output_tokens"] for row in outcome.rows.to_pylist())


def test_the_same_batch_gives_the_same_rows() -> None:
    recipe = load_recipe("keywords")
    first, again = (write_batch(recipe, "recipe", FakeLanguageModel(), sources(recipe)) for _ in range(2))
    assert first == again


def test_rows_do_not_depend_on_their_neighbours() -> None:
    recipe = load_recipe("keywords")
    together = write_batch(recipe, "recipe", FakeLanguageModel(), passages("One passage.", "Another one."))
    alone = write_batch(recipe, "recipe", FakeLanguageModel(), passages("One passage."))
    assert together.rows.slice(0, 1).to_pylist() == alone.rows.to_pylist()


def test_nothing_to_do_asks_nothing() -> None:
    model = FakeLanguageModel()
    outcome = write_batch(load_recipe("keywords"), "recipe", model, passages())
    assert (outcome.rows.num_rows, outcome.rejections, model.calls) == (0, (), 0)


def test_a_bad_output_is_asked_for_once_more_with_another_seed_and_more_room() -> None:
    def only_the_second_time(_source: str, sampling: Sampling) -> Generation:
        return Generation(GOOD if sampling.seed else "no JSON", 100, 7, "stop")

    model = ScriptedModel(only_the_second_time)
    recipe = load_recipe("keywords")
    outcome = write_batch(recipe, "recipe", model, passages("Text."))
    (first, second) = [sampling for _, sampling in model.asked]
    assert (second.seed, second.temperature) == (first.seed + RETRY_SEED, RETRY_TEMPERATURE)
    assert second.max_tokens == 2 * first.max_tokens
    (row,) = outcome.rows.to_pylist()
    assert row["items"] == ["sorted list", "bisection", "insertion point"]
    assert row["text"] == "sorted list, bisection, insertion point"
    assert (row["prompt_tokens"], row["output_tokens"]) == (100, 7)
    assert (outcome.prompt_tokens, outcome.output_tokens) == (200, 14)


def test_one_bad_source_loses_no_other() -> None:
    def by_source(source: str, _sampling: Sampling) -> Generation:
        if "endless" in source:
            return Generation("", 0, 0, "too_long")
        return Generation("no JSON" if "broken" in source else GOOD, 10, 3, "stop")

    model = ScriptedModel(by_source)
    batch = passages("fine", "endless", " \n", "broken", "also fine")
    outcome = write_batch(load_recipe("keywords"), "recipe", model, batch)
    assert outcome.rows["text_hash"].to_pylist() == ["hash-0", "hash-4"]
    assert {rejection.source_key: rejection.reason for rejection in outcome.rejections} == {
        "hash-1": Reason.TOO_LONG,
        "hash-2": Reason.EMPTY_TEXT,
        "hash-3": Reason.INVALID_OUTPUT,
    }
    assert [count for count, _ in model.asked] == [4, 1], "only the broken one is worth another try"
    (broken,) = [rejection for rejection in outcome.rejections if rejection.source_key == "hash-3"]
    assert broken.raw == "no JSON"
    assert (outcome.prompt_tokens, outcome.output_tokens) == (40, 12)


def test_a_retry_that_has_no_room_keeps_the_first_reason() -> None:
    def too_long_later(_source: str, sampling: Sampling) -> Generation:
        if sampling.seed:
            return Generation("", 0, 0, "too_long")
        return Generation('{"keywords": ["a', 10, 5, "length")

    outcome = write_batch(load_recipe("keywords"), "recipe", ScriptedModel(too_long_later), passages("Text."))
    assert [rejection.reason for rejection in outcome.rejections] == [Reason.TRUNCATED]


def samples_recipe(count: int) -> Recipe:
    return load_recipe("query").model_copy(update={"samples": count})


def test_samples_differ_by_seed_and_are_numbered() -> None:
    outcome = write_batch(samples_recipe(3), "recipe", FakeLanguageModel(), passages("One passage.", "Another one."))
    rows: list[dict[str, Any]] = outcome.rows.to_pylist()
    keys = [(row["text_hash"], row["sample"]) for row in rows]
    assert sorted(keys) == [(f"hash-{source}", sample) for source in range(2) for sample in range(3)]
    assert len({row["query"] for row in rows}) > 2


def test_a_source_is_rejected_only_when_no_sample_is_any_good() -> None:
    def good_as_sample_one(source: str, sampling: Sampling) -> Generation:
        wanted = "fine" in source and sampling.seed == 1
        return Generation("how to sort a list" if wanted else "", 10, 3, "stop")

    outcome = write_batch(samples_recipe(2), "recipe", ScriptedModel(good_as_sample_one), passages("fine", "never"))
    assert [(row["text_hash"], row["sample"]) for row in outcome.rows.to_pylist()] == [("hash-0", 1)]
    assert [rejection.source_key for rejection in outcome.rejections] == ["hash-1"]
    assert outcome.prompt_tokens == 70, "two samples of two sources, and three of the four tried again"
