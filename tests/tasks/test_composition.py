"""What is encoded of a passage, by hand; and whose vectors they then are."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fake import FAKE_MODEL_ID
from schemas.corpus import Corpus
from schemas.errors import CorpusError
from schemas.passage import passage_text
from tasks.composition import PLAIN, Composition, composition_of, encoded_text
from tasks.recipes import load_recipe, recipe_id

RECIPES = ("keywords", "summary", "query", "context")
WHOLE = Composition(True, (("summary", "s1"), ("keywords", "k1")), "q1")


def corpus(**encode: object) -> Corpus:
    told = {"name": "birds", "crawl": {"seeds": ["http://birds.test/"]}, "language_model": {"engine": "fake"}}
    return Corpus.model_validate(told | {"recipes": [{"name": name} for name in RECIPES], "encode": encode})


def id_of(name: str) -> str:
    return recipe_id(load_recipe(name), FAKE_MODEL_ID)


@given(st.lists(st.text(), max_size=3), st.text())
def test_a_text_with_nothing_appended_is_what_every_model_sees(heading_path: list[str], text: str) -> None:
    assert encoded_text(heading_path, text, {}) == passage_text(heading_path, text)


def test_headings_text_features_and_queries_stand_in_this_order_a_line_each() -> None:
    parts = [
        {"recipe_id": "q1", "sample": 1, "text": "owl\nfood"},
        {"recipe_id": "k1", "sample": 0, "text": "voles"},
        {"recipe_id": "other", "sample": 0, "text": "never"},
        {"recipe_id": "s1", "sample": 0, "text": "Owls  eat."},
        {"recipe_id": "q1", "sample": 0, "text": "what do owls eat"},
    ]
    row = {"text_hash": "t", "heading_path": ["Owls", "Food"], "text": "A barn owl.\n", "tokens": 5, "input_hash": "i"}
    sources = pa.Table.from_pylist([row | {"appended": parts}, row | {"appended": None}], schema=WHOLE.sources)
    everything = "A barn owl.\n\nsummary: Owls eat.\nkeywords: voles\nwhat do owls eat\nowl food"
    assert WHOLE.texts_of(sources) == [f"Owls > Food\n{everything}", "Owls > Food\nA barn owl.\n"]
    bare = Composition(False, WHOLE.features, WHOLE.queries)
    assert bare.texts_of(sources) == [everything, "A barn owl.\n"]
    assert Composition(False).texts_of(sources) == ["A barn owl.\n"] * 2


def test_only_the_plain_composition_leaves_the_encoders_own_id() -> None:
    others = [
        WHOLE,
        Composition(False),
        Composition(True, WHOLE.features),
        Composition(True, WHOLE.features[::-1], "q1"),
        Composition(True, (("summary", "s2"), ("keywords", "k1")), "q1"),
        Composition(True, WHOLE.features, "q2"),
    ]
    assert PLAIN.vectors_id("encoder") == Composition(late=("k1", "q1")).vectors_id("encoder") == "encoder"
    assert len({"encoder", *(each.vectors_id("encoder") for each in others)}) == 1 + len(others)


def test_a_corpus_names_recipes_and_their_ids_count() -> None:
    assert composition_of(corpus()) == PLAIN
    assert composition_of(corpus(headings=False)) == Composition(False)
    found = composition_of(corpus(features=["summary", "keywords"], queries="query"))
    features = (("summary", id_of("summary")), ("keywords", id_of("keywords")))
    assert found == Composition(True, features, id_of("query"))
    assert found.recipe_ids == (id_of("summary"), id_of("keywords"), id_of("query"))
    late = composition_of(corpus(late=["query", "keywords"]))
    assert (late, late.recipe_ids) == (Composition(late=(id_of("query"), id_of("keywords"))), ())


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (
            {"features": ["query"]},
            r"birds: encode\.features names 'query', which writes into table synthetic_queries\.",
        ),
        ({"features": ["context"]}, r"encode\.features names 'context', which writes into table contexts\."),
        (
            {"late": ["context"]},
            r"late names .* contexts\. Name a recipe of table features or synthetic_queries",
        ),
        ({"queries": "keywords"}, r"names 'keywords', which writes .* features\. Name a recipe of table synthetic_q"),
    ],
)
def test_a_recipe_of_another_table_is_refused(encode: dict[str, object], message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        composition_of(corpus(**encode))
