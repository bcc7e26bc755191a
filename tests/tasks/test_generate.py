"""A batch of sources becomes rows, rejections and a ledger that adds up."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from models.fake import FakeLanguageModel
from models.language import Generation, LanguageModel, Request, Sampling
from schemas.catalog import table_named
from schemas.quarantine import Reason
from tasks.generate import RETRY_SEED, RETRY_TEMPERATURE, Source, Written, write
from tasks.recipes import Demonstration, Recipe, load_recipe
from tasks.written import WRITTEN, from_batch, rows_of, to_batch

Answer = Callable[[str, Sampling], Generation]
GOOD = json.dumps({"keywords": ["sorted list", "bisection", "insertion point"]})


class ScriptedModel:
    """Answers each prompt's last message by a function, several at a time and the newest first."""

    model_id = "scripted"

    def __init__(self, answer: Answer, at_once: int = 1) -> None:
        self.asked: list[Request] = []
        self._answer = answer
        self._at_once = at_once

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Generation]]:
        waiting = []
        for number, request in enumerate(requests):
            assert request.schema is None or request.schema["type"] == "object"
            self.asked.append(request)
            waiting.append((number, self._answer(request.prompt[-1]["content"], request.sampling)))
            if len(waiting) == self._at_once:
                yield waiting.pop()
        yield from reversed(waiting)


def passages(*texts: str, recipes: Iterable[str] = ("keywords",)) -> list[Source]:
    wanted = frozenset(recipes)
    return [
        Source(f"hash-{number}", {"heading_path": ["Title"], "text": text}, wanted) for number, text in enumerate(texts)
    ]


def sources(recipe: Recipe) -> list[Source]:
    texts = ("Bisection keeps a list sorted while new items arrive.", "Sockets wait for an answer until a timeout.")
    if recipe.table == "contexts":
        return [
            Source(f"hash-{number}", {"question": text}, frozenset(["context"])) for number, text in enumerate(texts)
        ]
    return passages(*texts, recipes=[recipe.name])


def written(recipe: Recipe, model: LanguageModel, given: Iterable[Source]) -> list[Written]:
    """In the order of their sources."""
    return sorted(write([recipe], model, given), key=lambda each: each.source_key)


def rows(recipe: Recipe, made: Iterable[Written]) -> list[dict[str, Any]]:
    return rows_of(recipe, "recipe", "model", made).to_pylist()


def tokens(made: Iterable[Written]) -> tuple[int, int]:
    counted = [(each.prompt_tokens, each.output_tokens) for each in made]
    return sum(read for read, _ in counted), sum(wrote for _, wrote in counted)


@pytest.mark.parametrize("name", ["keywords", "summary", "query", "context"])
def test_every_shipped_recipe_makes_rows_of_its_table(name: str) -> None:
    recipe = load_recipe(name)
    made = written(recipe, FakeLanguageModel(), sources(recipe))
    table = rows_of(recipe, "recipe", "model", made)
    declared = table_named(recipe.table).schema
    assert table.schema == pa.schema([field for field in declared if field.name not in ("created_at", "run_id")])
    assert (table.num_rows, [each.rejection for each in made]) == (2, [None, None])
    assert set(table["recipe_id"].to_pylist()) == {"recipe"}
    assert tokens(made)[1] == sum(row["output_tokens"] for row in table.to_pylist())


def test_the_same_sources_give_the_same_rows() -> None:
    recipe = load_recipe("keywords")
    first, again = (written(recipe, FakeLanguageModel(), sources(recipe)) for _ in range(2))
    assert first == again


def test_rows_do_not_depend_on_their_neighbours() -> None:
    recipe = load_recipe("keywords")
    together, _ = written(recipe, FakeLanguageModel(), passages("One passage.", "Another one."))
    (alone,) = written(recipe, FakeLanguageModel(), passages("One passage."))
    assert together == alone


def test_nothing_to_do_asks_nothing() -> None:
    model = FakeLanguageModel()
    assert (written(load_recipe("keywords"), model, []), model.calls) == ([], 0)


def test_a_bad_output_is_asked_for_once_more_with_another_seed_and_more_room() -> None:
    def only_the_second_time(_source: str, sampling: Sampling) -> Generation:
        return Generation(GOOD if sampling.seed else "no JSON", 100, 7, "stop")

    model = ScriptedModel(only_the_second_time)
    recipe = load_recipe("keywords")
    made = written(recipe, model, passages("Text."))
    first, second = [request.sampling for request in model.asked]
    assert (second.seed, second.temperature) == (first.seed + RETRY_SEED, RETRY_TEMPERATURE)
    assert second.max_tokens == 2 * first.max_tokens
    (row,) = rows(recipe, made)
    assert row["items"] == ["sorted list", "bisection", "insertion point"]
    assert row["text"] == "sorted list, bisection, insertion point"
    assert (row["prompt_tokens"], row["output_tokens"]) == (100, 7)
    assert tokens(made) == (200, 14)


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_one_bad_source_loses_no_other(at_once: int) -> None:
    def by_source(source: str, _sampling: Sampling) -> Generation:
        if "endless" in source:
            return Generation("", 0, 0, "too_long")
        if "deadly" in source:
            return Generation("", 0, 0, "engine_died")
        return Generation("no JSON" if "broken" in source else GOOD, 10, 3, "stop")

    model = ScriptedModel(by_source, at_once)
    recipe = load_recipe("keywords")
    made = written(recipe, model, passages("fine", "endless", " \n", "broken", "also fine", "deadly"))
    assert [row["text_hash"] for row in rows(recipe, made)] == ["hash-0", "hash-4"]
    rejections = [each.rejection for each in made if each.rejection]
    assert {rejection.source_key: rejection.reason for rejection in rejections} == {
        "hash-1": Reason.TOO_LONG,
        "hash-2": Reason.EMPTY_TEXT,
        "hash-3": Reason.INVALID_OUTPUT,
        "hash-5": Reason.ENGINE_FAILED,
    }
    assert len(model.asked) == 6, "only the broken one is worth another try"
    assert next(each.raw for each in rejections if each.source_key == "hash-3") == "no JSON"
    assert tokens(made) == (40, 12)


def test_sources_without_text_are_told_of_where_nothing_is_asked() -> None:
    (made,) = written(load_recipe("keywords"), ScriptedModel(lambda *_: Generation(GOOD, 1, 1, "stop")), passages(" "))
    assert made.rejection
    assert made.rejection.reason is Reason.EMPTY_TEXT


def test_a_retry_that_has_no_room_keeps_the_first_reason() -> None:
    def too_long_later(_source: str, sampling: Sampling) -> Generation:
        if sampling.seed:
            return Generation("", 0, 0, "too_long")
        return Generation('{"keywords": ["a', 10, 5, "length")

    (made,) = written(load_recipe("keywords"), ScriptedModel(too_long_later), passages("Text."))
    assert made.rejection
    assert made.rejection.reason is Reason.TRUNCATED


def samples_recipe(count: int) -> Recipe:
    return load_recipe("query").model_copy(update={"samples": count})


def test_samples_differ_by_seed_and_are_numbered() -> None:
    recipe = samples_recipe(3)
    made = rows(
        recipe, written(recipe, FakeLanguageModel(), passages("One passage.", "Another one.", recipes=["query"]))
    )
    keys = [(row["text_hash"], row["sample"]) for row in made]
    assert sorted(keys) == [(f"hash-{source}", sample) for source in range(2) for sample in range(3)]
    assert len({row["query"] for row in made}) > 2


def test_a_source_is_rejected_only_when_no_sample_is_any_good() -> None:
    def good_as_sample_one(source: str, sampling: Sampling) -> Generation:
        wanted = "fine" in source and sampling.seed == 1
        return Generation("how to sort a list" if wanted else "", 10, 3, "stop")

    recipe = samples_recipe(2)
    made = written(recipe, ScriptedModel(good_as_sample_one), passages("fine", "never", recipes=["query"]))
    assert [(row["text_hash"], row["sample"]) for row in rows(recipe, made)] == [("hash-0", 1)]
    assert [each.source_key for each in made if each.rejection] == ["hash-1"]
    assert tokens(made)[0] == 70, "two samples of two sources, and three of the four tried again"


def bare(name: str, shown: str = "") -> Recipe:
    """A recipe that begins with the passage, or with a demonstration."""
    recipe = load_recipe("keywords").model_copy(update={"name": name})
    shown_first = (Demonstration(passage=shown, answer=GOOD),) if shown else ()
    prompt = recipe.prompt.model_copy(update={"demonstrations": shown_first})
    return recipe.model_copy(update={"prompt": prompt})


def test_recipes_over_one_passage_stand_next_to_each_other_those_that_begin_with_it_first() -> None:
    recipes = [bare("shown", "An example."), bare("plain"), bare("other")]
    model = ScriptedModel(lambda *_: Generation(GOOD, 1, 1, "stop"))
    both = passages("One passage.", "Another one.", recipes=["shown", "plain", "other"])
    made = list(write(recipes, model, [both[0], Source("hash-1", both[1].values, frozenset(["shown", "other"]))]))
    assert [(each.source_key, each.recipe) for each in made] == [
        ("hash-0", "plain"),
        ("hash-0", "other"),
        ("hash-0", "shown"),
        ("hash-1", "other"),
        ("hash-1", "shown"),
    ]
    first, second, third = (list(request.prompt) for request in model.asked[:3])
    assert first[0] == second[0], "what their prompts share stands first"
    assert "One passage." in first[1]["content"]
    assert "An example." in third[1]["content"], "and demonstrations before the passage"


def test_what_was_written_travels_as_arrow_unchanged() -> None:
    model = ScriptedModel(lambda source, _: Generation("" if "bad" in source else GOOD, 3, 2, "stop"))
    made = written(load_recipe("keywords"), model, passages("fine", "bad"))
    batch = to_batch(made)
    assert batch.schema == WRITTEN
    assert from_batch(pa.Table.from_batches([batch])) == made
