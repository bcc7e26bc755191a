"""What is appended to texts, and the digest by which a change of it is seen."""

from datetime import date
from hashlib import md5
from typing import Any

from schemas.chunks import CHUNKS
from schemas.corpus import Corpus
from schemas.features import FEATURES
from schemas.synthetic_queries import SYNTHETIC_QUERIES
from tasks.appended import with_appended
from tasks.composition import TEXTS, Composition
from tasks.run import Run, Silent
from tests.bundles import SENTENCES, chunks_of, features_for, hash_of, queries_for
from warehouse.tables import Warehouse

COMPOSITION = Composition(features=(("keywords", "recipe"),), queries="asked")
NOTHING = md5(b"").hexdigest()


def found(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    """Texts by their hash, as they are handed to an encoder."""
    corpus = Corpus.model_validate({"name": "test", "crawl": {"seeds": ["http://example.org/"]}})
    run = Run(warehouse, corpus, "r", date(2026, 1, 1), Silent())
    with run.stage("embed") as stage:
        texts = stage.read(CHUNKS).select(*(field.name for field in TEXTS)).dropDuplicates(["text_hash"])
        frame = with_appended(stage, texts, COMPOSITION)
        return {row["text_hash"]: row.asDict(recursive=True) for row in frame.collect()}


def test_what_the_named_recipes_wrote_and_the_filter_kept_is_appended(warehouse: Warehouse) -> None:
    described, asked, rejected, withheld, plain, _ = SENTENCES
    chunks = chunks_of(SENTENCES).to_pylist()
    chunks[SENTENCES.index(withheld)]["withheld"] = True
    warehouse.add(CHUNKS, CHUNKS.rows(chunks))
    warehouse.add(FEATURES, features_for({described: "sorted list", withheld: "a secret"}))
    warehouse.add(FEATURES, features_for({plain: "another's"}, recipe_id="other"))
    warehouse.add(SYNTHETIC_QUERIES, queries_for({asked: True, rejected: False, plain: None}))

    texts = found(warehouse)

    part = {"recipe_id": "recipe", "sample": 0, "text": "sorted list"}
    query = {"recipe_id": "asked", "sample": 0, "text": f"about {asked}"}
    appended = {text_hash: row["appended"] for text_hash, row in texts.items() if row["appended"]}
    assert appended == {hash_of(described): [part], hash_of(asked): [query]}
    by_hand = md5(md5(b"recipe:0:sorted list").hexdigest().encode()).hexdigest()
    assert texts[hash_of(described)]["input_hash"] == by_hand
    assert [texts[hash_of(each)]["input_hash"] for each in (rejected, withheld, plain)] == [NOTHING] * 3
    # Of 12 tokens in 39 characters, 11 more characters.
    assert (len(described), texts[hash_of(described)]["tokens"], texts[hash_of(plain)]["tokens"]) == (39, 15, 12)


def test_the_digest_follows_what_is_appended_and_nothing_else(warehouse: Warehouse) -> None:
    warehouse.add(CHUNKS, chunks_of([*SENTENCES, SENTENCES[0]]))
    warehouse.add(SYNTHETIC_QUERIES, queries_for({SENTENCES[0]: True}))
    warehouse.add(SYNTHETIC_QUERIES, queries_for({SENTENCES[0]: True}, sample=1))
    both = found(warehouse)[hash_of(SENTENCES[0])]["input_hash"]

    warehouse.merge(SYNTHETIC_QUERIES, queries_for({SENTENCES[0]: False}))
    assert found(warehouse)[hash_of(SENTENCES[0])]["input_hash"] not in (both, NOTHING)
    warehouse.merge(SYNTHETIC_QUERIES, queries_for({SENTENCES[0]: True}, run_id="a later one"))
    assert found(warehouse)[hash_of(SENTENCES[0])]["input_hash"] == both
