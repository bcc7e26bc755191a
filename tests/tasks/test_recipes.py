"""Recipes are checked when they are read, and their identity is what they make."""

from pathlib import Path

import pytest

from flows.steps import feature_recipes
from models.language import Generation
from models.opening import language_model_id
from schemas.corpus import load_corpus
from schemas.errors import CorpusError, UnknownName
from tasks.output import PARSERS, read_output
from tasks.recipes import Recipe, known_recipes, load_recipe, recipe_id

FEATURES = (
    "cot-entities",
    "cot-keywords",
    "document",
    "entities",
    "essay",
    "facts",
    "keywords",
    "news",
    "queries",
    "summary",
)
SHIPPED = tuple(sorted(("context", *FEATURES, "query")))
TOML = """
table = "synthetic_queries"
parser = "line"
max_failure_rate = 0.1
prompt = { system = "S", user = "{passage} Ask." }
decoding = { max_tokens = 8 }
"""


def write(folder: Path, content: str, name: str = "mine") -> Recipe:
    (folder / f"{name}.toml").write_text(content)
    return load_recipe(name, [folder])


def test_shipped_recipes_are_known_and_valid() -> None:
    assert tuple(known_recipes()) == SHIPPED
    assert [load_recipe(name).name for name in SHIPPED] == list(SHIPPED)


def test_shipped_recipes_fit_a_page() -> None:
    assert all(len(path.read_text().splitlines()) <= 60 for path in known_recipes().values())


def test_what_a_shipped_recipe_shows_is_what_it_accepts() -> None:
    for recipe in map(load_recipe, SHIPPED):
        for shown in recipe.prompt.demonstrations:
            generation = Generation(shown.answer, "stop", 1, 1)
            parsed = read_output(generation, PARSERS[recipe.parser], recipe.output, "")
            assert parsed.text
            assert (parsed.items is not None) == (recipe.parser == "items")
            assert "thought" not in parsed.text


def test_sources_stand_before_instructions_where_recipes_share_them() -> None:
    keywords, summary, query = (load_recipe(name).prompt for name in ("keywords", "summary", "query"))
    assert keywords.system == summary.system
    assert all(prompt.user.lstrip().startswith("{passage}") for prompt in (keywords, summary, query))


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=rf"'no'.*{', '.join(SHIPPED)}"):
        load_recipe("no")


def test_a_users_recipe_comes_before_a_shipped_one(tmp_path: Path) -> None:
    assert write(tmp_path, TOML, "keywords").prompt.system == "S"
    assert known_recipes([tmp_path])["summary"] == known_recipes()["summary"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Ask.", "Ask. {other}"), r"fills the slot \{passage\}; found: other, passage"),
        (('"line"', '"lines"'), "unknown parser 'lines'; known: items, line, sentences"),
        (("max_tokens = 8", "max_token = 8"), r"decoding\.max_tokens: Field required"),
        (("0.1", "2"), "max_failure_rate"),
        (("= 0.1", "="), "not valid TOML"),
        (("0.1", "0.1\noutput = { type = 'string' }"), "output: a string needs a maxLength"),
        (("0.1", "0.1\noutput = { properties = { a = { type = 'array' } } }"), r"output\.a: an array needs maxItems"),
        (
            ("0.1", "0.1\noutput = { type = 'array', maxItems = 2, items = { type = 'array', maxItems = 2 } }"),
            "an array inside an array",
        ),
    ],
)
def test_a_broken_recipe_is_one_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(CorpusError, match=message) as caught:
        write(tmp_path, TOML.replace(*change))
    assert str(tmp_path / "mine.toml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_identity_ignores_what_makes_no_row_different(tmp_path: Path) -> None:
    recipe = write(tmp_path, TOML)
    same = write(tmp_path, 'description = "for people"\n' + TOML.replace("0.1", "0.9"))
    assert recipe_id(recipe, "model") == recipe_id(same, "model")


@pytest.mark.parametrize(
    "change",
    [
        ("Ask.", "Ask!"),
        ('"line"', '"sentences"'),
        ("= 8", "= 9"),
        ("= 8", "= 8, seed = 1"),
        ('"S"', '"T"'),
        ("0.1", "0.1\nsamples = 2"),
        ("0.1", "0.1\noutput = { type = 'string', maxLength = 9 }"),
    ],
)
def test_identity_follows_everything_else(tmp_path: Path, change: tuple[str, str]) -> None:
    recipe, other = write(tmp_path, TOML), write(tmp_path, TOML.replace(*change))
    assert recipe_id(recipe, "model") != recipe_id(other, "model")


def test_identity_follows_name_and_model(tmp_path: Path) -> None:
    recipe, renamed = write(tmp_path, TOML), write(tmp_path, TOML, "other")
    assert len({recipe_id(recipe, "a"), recipe_id(recipe, "b"), recipe_id(renamed, "a")}) == 3


def test_a_corpus_file_has_its_recipes_beside_it(tmp_path: Path) -> None:
    corpus_file = tmp_path / "birds.toml"
    corpus_file.write_text('name = "birds"\n[crawl]\nseeds = ["http://birds.test/"]\n[[recipes]]\nname = "mine"\n')
    (tmp_path / "recipes").mkdir()
    mine = write(tmp_path / "recipes", TOML.replace("synthetic_queries", "features"))
    corpus = load_corpus(str(corpus_file))
    assert feature_recipes(corpus) == [recipe_id(mine, language_model_id(corpus.language_model))]
