"""The embed stage: the same vectors in this process and on Spark's executors, and again only what has changed."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from models.fake import FAKE_ENCODER_ID, FakeEncoder
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus
from schemas.embeddings import EMBEDDINGS
from schemas.errors import WarehouseError
from schemas.features import FEATURES
from schemas.synthetic_queries import SYNTHETIC_QUERIES
from tasks.composition import PLAIN, Composition
from tasks.embeddings import embed, encoding
from tasks.planning import Why, pending_by_reason, text_tokens
from tasks.run import Ledger, Run, Silent
from tests.bundles import SENTENCES, RecordingEncoder, chunks_of, features_for, hash_of, late_hash, queries_for
from warehouse.tables import Warehouse

COMPOSED = Composition(features=(("keywords", "recipe"),), queries="asked")


def run_over(warehouse: Warehouse, where: str = "here") -> Run:
    told = {"name": "test", "crawl": {"seeds": ["http://example.org/"]}, "encoder": {"engine": "fake", "where": where}}
    return Run(warehouse, Corpus.model_validate(told), "r1", date(2026, 1, 1), Silent())


def encoded(
    warehouse: Warehouse, encoder: FakeEncoder, composition: Composition = PLAIN, where: str = "here"
) -> Ledger:
    with run_over(warehouse, where).stage("embed") as stage:
        embed(stage, FAKE_ENCODER_ID, lambda: encoder, composition)
    return stage.ledger


def vectors(warehouse: Warehouse, composition: Composition = PLAIN) -> dict[str, list[float]]:
    stored = warehouse.read(EMBEDDINGS).where(f"encoder_id = '{composition.vectors_id(FAKE_ENCODER_ID)}'")
    return {row["text_hash"]: row["vector"] for row in warehouse.arrow(EMBEDDINGS, stored).to_pylist()}


def described(warehouse: Warehouse) -> None:
    """Sentences of which one has a feature, one a kept query, and one a query that was not kept."""
    warehouse.add(CHUNKS, chunks_of([*SENTENCES, SENTENCES[0]]))
    warehouse.add(FEATURES, features_for({SENTENCES[0]: "sorted list"}))
    warehouse.add(SYNTHETIC_QUERIES, queries_for({SENTENCES[1]: True, SENTENCES[2]: False}))


@pytest.mark.parametrize("composition", [PLAIN, COMPOSED])
def test_executors_encode_what_this_process_encodes(
    warehouse: Warehouse, tmp_path: Path, composition: Composition
) -> None:
    here = Warehouse(warehouse.spark, str(tmp_path / "here"))
    for each in (here, warehouse):
        described(each)
    mine = encoded(here, FakeEncoder(), composition)
    theirs = encoded(warehouse, FakeEncoder(), composition, "spark")
    assert vectors(here, composition) == vectors(warehouse, composition)
    assert vectors(here, composition).keys() == {hash_of(sentence) for sentence in SENTENCES}
    assert (mine.rows_in, mine.rows_out, mine.prompt_tokens) == (theirs.rows_in, theirs.rows_out, theirs.prompt_tokens)


@pytest.mark.parametrize("composition", [PLAIN, COMPOSED])
@pytest.mark.parametrize("where", ["here", "spark"])
def test_what_is_late_is_encoded_by_itself_once_and_stays(
    warehouse: Warehouse, composition: Composition, where: str
) -> None:
    described(warehouse)
    # Two texts have the same keywords.
    warehouse.add(FEATURES, features_for({SENTENCES[3]: "sorted list"}))
    late = replace(composition, late=("recipe", "asked"))
    assert late.vectors_id(FAKE_ENCODER_ID) == composition.vectors_id(FAKE_ENCODER_ID)
    assert encoded(warehouse, FakeEncoder(), composition).rows_out == len(SENTENCES)

    assert encoded(warehouse, FakeEncoder(), late, where).rows_out == 2

    query = f"about {SENTENCES[1]}"
    stored = vectors(warehouse, composition)
    assert stored.keys() == {*map(hash_of, SENTENCES), late_hash("sorted list"), late_hash(query)}
    for text in ("sorted list", query):
        assert stored[late_hash(text)] == pytest.approx(FakeEncoder().encode([text]).vectors[0])
    again = encoded(warehouse, FakeEncoder(), late, where)
    assert (again.rows_out, again.skipped) == (0, len(SENTENCES) + 2)


def test_what_was_written_about_a_text_before_it_was_withheld_is_not_encoded(warehouse: Warehouse) -> None:
    described(warehouse)
    stored = warehouse.read(CHUNKS).where(f"text_hash = '{hash_of(SENTENCES[0])}'")
    chunks = warehouse.arrow(CHUNKS, stored).to_pylist()
    warehouse.merge(CHUNKS, CHUNKS.rows([{**row, "withheld": True} for row in chunks]))

    encoded(warehouse, FakeEncoder(), Composition(late=("recipe",)))

    assert vectors(warehouse).keys() == set(map(hash_of, SENTENCES))


def test_a_vector_is_made_of_what_is_appended_and_again_only_when_that_changes(warehouse: Warehouse) -> None:
    described(warehouse)
    encoder = RecordingEncoder()
    texts = [f"Guide\n{sentence}" for sentence in SENTENCES]
    texts[0] += "\nkeywords: sorted list"
    texts[1] += f"\nabout {SENTENCES[1]}"
    assert encoded(warehouse, encoder, COMPOSED).rows_out == len(SENTENCES)
    assert sorted(encoder.texts) == sorted(texts)

    encoder.texts.clear()
    again = encoded(warehouse, encoder, COMPOSED)
    assert (again.rows_out, again.skipped, encoder.texts) == (0, len(SENTENCES), [])

    warehouse.merge(SYNTHETIC_QUERIES, queries_for({SENTENCES[1]: False, SENTENCES[2]: True}))
    warehouse.add(FEATURES, features_for({SENTENCES[3]: "iterators"}))
    texts[1] = f"Guide\n{SENTENCES[1]}"
    texts[2] += f"\nabout {SENTENCES[2]}"
    texts[3] += "\nkeywords: iterators"
    assert encoded(warehouse, encoder, COMPOSED).rows_out == 3
    assert sorted(encoder.texts) == sorted(texts[1:4])
    assert warehouse.read(EMBEDDINGS).count() == len(SENTENCES)
    expected = FakeEncoder().encode(texts).vectors.tolist()
    assert vectors(warehouse, COMPOSED) == dict(zip(map(hash_of, SENTENCES), expected, strict=True))


def test_plain_vectors_from_before_the_digest_are_not_made_again(warehouse: Warehouse) -> None:
    described(warehouse)
    encoded(warehouse, FakeEncoder())
    assert warehouse.read(EMBEDDINGS).where("input_hash is not null").count() == 0
    encoder = FakeEncoder()
    assert (encoded(warehouse, encoder).skipped, encoder.calls) == (len(SENTENCES), 0)
    # Without headings these are other vectors, beside the plain ones; they, too, are made once.
    bare = Composition(headings=False)
    assert [encoded(warehouse, encoder, bare).rows_out for _ in range(2)] == [len(SENTENCES), 0]
    assert vectors(warehouse, bare).keys() == vectors(warehouse).keys()


def test_a_plan_tells_a_new_text_from_one_encoded_otherwise(warehouse: Warehouse) -> None:
    described(warehouse)
    encoded(warehouse, FakeEncoder())

    def reasons() -> dict[Why, int]:
        with run_over(warehouse).stage("embed") as stage:
            return pending_by_reason(stage, encoding(stage, FAKE_ENCODER_ID, FakeEncoder, COMPOSED))

    assert reasons() == {Why.CHANGED_RECIPE: len(SENTENCES)}
    encoded(warehouse, FakeEncoder(), COMPOSED)
    warehouse.add(CHUNKS, chunks_of(["A deque is open at both ends."]))
    warehouse.merge(FEATURES, features_for({SENTENCES[0]: "in order"}))
    assert reasons() == {Why.NEW_SOURCE: 1, Why.CHANGED_SOURCE: 1}


def test_a_plan_counts_what_is_appended(warehouse: Warehouse) -> None:
    warehouse.add(CHUNKS, chunks_of(SENTENCES[:2]))
    warehouse.add(FEATURES, features_for({SENTENCES[0]: SENTENCES[0]}))
    with run_over(warehouse).stage("embed") as stage:
        plain, composed = (
            text_tokens(stage, encoding(stage, FAKE_ENCODER_ID, FakeEncoder, each)) for each in (PLAIN, COMPOSED)
        )
    # Of two texts of 12 tokens, one is twice as long.
    assert (plain, composed) == (12, 18)


def test_an_executor_without_the_model_says_so_in_one_line(warehouse: Warehouse) -> None:
    warehouse.add(CHUNKS, chunks_of(SENTENCES))
    told = {"name": "test", "crawl": {"seeds": ["http://example.org/"]}, "encoder": {"model": "none", "where": "spark"}}
    run = Run(warehouse, Corpus.model_validate(told), "r1", date(2026, 1, 1), Silent())
    failed = pytest.raises(WarehouseError, match=r"work on Spark's executors failed: no model 'none'")
    with failed as raised, run.stage("embed") as stage:
        embed(stage, "an encoder", FakeEncoder)
    assert "\n" not in str(raised.value)
