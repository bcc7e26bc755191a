"""An index made of the live one and the tables' feeds of changes, beside one made of the whole tables."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from models.fake import FAKE_ENCODER_ID, FakeEncoder
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus, FolderSettings, IndexSettings
from schemas.embeddings import EMBEDDINGS
from schemas.features import FEATURES
from schemas.sparse_embeddings import SPARSE_EMBEDDINGS
from schemas.synthetic_queries import SYNTHETIC_QUERIES
from schemas.vectors import vectors_id
from tasks.refreshing import build, check, rebuild
from tasks.run import Run, Silent
from tests.bundles import SENTENCES, chunks_of, features_for, hash_of, late_hash, queries_for, vectors_for
from tests.warehouse.test_extension import assert_same, sparse_for
from warehouse.bundle import Bundle, open_version
from warehouse.pointer import swap_pointer
from warehouse.tables import Warehouse

NEW = "A deque is open at both ends."


def corpus(root: Path, **index: float) -> Corpus:
    pages = FolderSettings(path="unused", url_prefix="http://docs.test/")
    settings = IndexSettings.model_validate({"extend_from": 1, "most_dead": 1, **index})
    return Corpus(name="docs", warehouse=str(root), folder=pages, index=settings)


def refreshed(
    warehouse: Warehouse, settings: Corpus, live: str | None, composition_id: str = "", late: Sequence[str] = ()
) -> tuple[Bundle, str | None]:
    """What a refresh builds and its gate lets pass, made live in place of another; and what its ledger says."""
    dense, sparse = (vectors_id(each, composition_id) for each in (FAKE_ENCODER_ID, "sparse"))
    run = Run(warehouse, settings, "run", date(2026, 11, 23), Silent())
    with run.stage("index") as stage:
        index_id = build(stage, dense, ["recipe"], sparse, late)
        detail = stage.ledger.detail
    assert index_id is not None
    with run.stage("gate") as stage:
        check(stage, index_id, FakeEncoder, Path(settings.warehouse) / "pages")
    swap_pointer(settings.warehouse, index_id, expected=live)
    return open_version(settings.warehouse, index_id, verify=True), detail


def sparse_rows(sentences: list[str]) -> pa.Table:
    rows = [{**row, "encoder_id": "sparse", "run_id": "run"} for row in sparse_for(sentences).to_pylist()]
    return SPARSE_EMBEDDINGS.rows(rows)


def changed(rows: pa.Table, number: int, **values: object) -> dict[str, object]:
    return {**rows.slice(number, 1).to_pylist()[0], **values}


@pytest.mark.slow
def test_a_refresh_from_the_feeds_is_what_a_full_build_is(warehouse: Warehouse, tmp_path: Path) -> None:
    # The last text stands on two pages.
    passages = chunks_of([*SENTENCES, SENTENCES[-1]])
    warehouse.append(CHUNKS, passages)
    warehouse.append(EMBEDDINGS, vectors_for(SENTENCES))
    warehouse.append(SPARSE_EMBEDDINGS, sparse_rows(list(SENTENCES)))
    warehouse.append(FEATURES, features_for({SENTENCES[0]: "sorted list", SENTENCES[1]: "smallest"}))
    first, _ = refreshed(warehouse, corpus(tmp_path), None)

    new = chunks_of([NEW]).to_pylist()[0]
    moved = [
        changed(passages, 0, live=False),
        changed(passages, 2, url="http://docs.test/moved.html"),
        changed(passages, 6, live=False),
        new,
    ]
    warehouse.merge(CHUNKS, CHUNKS.rows(moved))
    warehouse.append(EMBEDDINGS, vectors_for([NEW]))
    warehouse.append(SPARSE_EMBEDDINGS, sparse_rows([NEW]))
    warehouse.merge(FEATURES, features_for({SENTENCES[1]: "first out"}))
    second, detail = refreshed(warehouse, corpus(tmp_path), first.manifest.index_id)

    # Gone: one text. Changed: a URL, a feature, and a text that has one passage less. New: one text.
    assert (detail, second.manifest.parent) == (None, first.manifest.index_id)
    assert (second.manifest.changed, second.manifest.segments, second.manifest.dead) == (5, (6, 4), 4)
    assert_same(second, rebuild(warehouse, second.manifest, tmp_path / "again"))


@pytest.mark.slow
def test_a_text_that_comes_back_has_the_vector_it_had(warehouse: Warehouse, tmp_path: Path) -> None:
    passages = chunks_of(SENTENCES)
    warehouse.append(CHUNKS, CHUNKS.rows([*passages.slice(1).to_pylist(), changed(passages, 0, live=False)]))
    warehouse.append(EMBEDDINGS, vectors_for(SENTENCES))
    warehouse.append(SPARSE_EMBEDDINGS, sparse_rows(list(SENTENCES)))
    first, _ = refreshed(warehouse, corpus(tmp_path), None)

    warehouse.merge(CHUNKS, CHUNKS.rows([changed(passages, 0), chunks_of([NEW]).to_pylist()[0]]))
    warehouse.append(EMBEDDINGS, vectors_for([NEW]))
    warehouse.append(SPARSE_EMBEDDINGS, sparse_rows([NEW]))
    second, _ = refreshed(warehouse, corpus(tmp_path), first.manifest.index_id)

    assert (second.manifest.changed, second.manifest.segments) == (2, (5, 2))
    assert_same(second, rebuild(warehouse, second.manifest, tmp_path / "again"))


def composed(rows: pa.Table, appended: Mapping[str, str]) -> pa.Table:
    """Rows of a table of vectors as those of a composition, each with what was appended to its text."""
    hashes = {hash_of(sentence): word for sentence, word in appended.items()}
    table = SPARSE_EMBEDDINGS if "terms" in rows.column_names else EMBEDDINGS
    told = [(row, {"encoder_id": vectors_id(row["encoder_id"], "c")}) for row in rows.to_pylist()]
    return table.rows([{**row, **its, "input_hash": hashes[row["text_hash"]]} for row, its in told])


def dense_rows(appended: Mapping[str, str]) -> pa.Table:
    return composed(vectors_for({sentence: f"{sentence} {word}" for sentence, word in appended.items()}), appended)


def sparse_rows_of(appended: Mapping[str, str]) -> pa.Table:
    encoded = {sentence: f"{sentence} {word}" for sentence, word in appended.items()}
    rows = [{**row, "encoder_id": "sparse", "run_id": "run"} for row in sparse_for(encoded).to_pylist()]
    return composed(SPARSE_EMBEDDINGS.rows(rows), appended)


@pytest.mark.slow
def test_a_refresh_after_vectors_were_replaced_is_what_a_full_build_is(warehouse: Warehouse, tmp_path: Path) -> None:
    passages, appended = chunks_of(SENTENCES), dict.fromkeys(SENTENCES, "owl")
    warehouse.append(CHUNKS, passages)
    warehouse.append(EMBEDDINGS, dense_rows(appended))
    warehouse.append(SPARSE_EMBEDDINGS, sparse_rows_of(appended))
    warehouse.append(EMBEDDINGS, vectors_for(SENTENCES))  # plain ones, which are none of this index's
    first, _ = refreshed(warehouse, corpus(tmp_path), None, "c")

    # Of one text both vectors, of two one, and of one of these the passage, too.
    warehouse.merge(CHUNKS, CHUNKS.rows([changed(passages, 2, url="http://docs.test/moved.html")]))
    warehouse.merge(EMBEDDINGS, dense_rows({SENTENCES[0]: "moth", SENTENCES[2]: "vole"}))
    warehouse.merge(SPARSE_EMBEDDINGS, sparse_rows_of({SENTENCES[0]: "moth", SENTENCES[1]: "zebra"}))
    warehouse.merge(EMBEDDINGS, vectors_for({SENTENCES[4]: "Other words."}))
    second, detail = refreshed(warehouse, corpus(tmp_path), first.manifest.index_id, "c")

    assert (detail, second.manifest.parent) == (None, first.manifest.index_id)
    assert (second.manifest.changed, second.manifest.segments, second.manifest.dead) == (3, (6, 3), 3)
    assert_same(second, rebuild(warehouse, second.manifest, tmp_path / "again"))
    numbers = second.stored.numbers(pa.array([hash_of(sentence) for sentence in SENTENCES[:3]]))
    texts = [f"Guide\n{SENTENCES[0]} moth", f"Guide\n{SENTENCES[1]} owl", f"Guide\n{SENTENCES[2]} vole"]
    assert second.dense.vectors(numbers) == pytest.approx(FakeEncoder().encode(texts).vectors)

    # Nothing but one vector is another: that is a version, too.
    warehouse.merge(EMBEDDINGS, dense_rows({SENTENCES[5]: "moth"}))
    third, _ = refreshed(warehouse, corpus(tmp_path), second.manifest.index_id, "c")
    assert (third.manifest.changed, third.manifest.parent) == (1, second.manifest.index_id)
    assert_same(third, rebuild(warehouse, third.manifest, tmp_path / "again"))


def answer(bundle: Bundle, asked: str) -> tuple[str, float]:
    found = bundle.dense.search(FakeEncoder().encode([asked]).vectors, 1)
    return bundle.stored.text_hashes[found.numbers[0, 0]].as_py(), found.scores[0, 0]


@pytest.mark.slow
def test_a_refresh_after_something_was_written_beside_texts_is_what_a_full_build_is(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    def encode(*texts: str) -> None:
        warehouse.append(EMBEDDINGS, late_rows(*texts))

    def next_version(live: Bundle | None) -> Bundle:
        found, detail = refreshed(warehouse, corpus(tmp_path), live and live.manifest.index_id, late=("words", "asked"))
        assert detail is None
        if live is not None:
            assert found.manifest.parent == live.manifest.index_id
        assert_same(found, rebuild(warehouse, found.manifest, tmp_path / f"again-{found.manifest.index_id}"))
        return found

    warehouse.append(CHUNKS, chunks_of(SENTENCES))
    warehouse.append(EMBEDDINGS, vectors_for(SENTENCES))
    warehouse.append(SPARSE_EMBEDDINGS, sparse_rows(list(SENTENCES)))
    warehouse.append(FEATURES, features_for({SENTENCES[0]: "barn owl", SENTENCES[1]: "moth"}, recipe_id="words"))
    warehouse.append(SYNTHETIC_QUERIES, queries_for({SENTENCES[2]: True, SENTENCES[3]: False}))
    encode("barn owl", f"about {SENTENCES[2]}")
    first = next_version(None)
    assert answer(first, "barn owl") == (hash_of(SENTENCES[0]), pytest.approx(1))
    assert answer(first, f"about {SENTENCES[2]}") == (hash_of(SENTENCES[2]), pytest.approx(1))
    assert answer(first, "moth")[1] < 0.99  # it has no vector yet

    # One has a vector now, one says something else that has one already, one is no longer kept.
    encode("moth")
    warehouse.merge(FEATURES, features_for({SENTENCES[0]: "moth"}, recipe_id="words"))
    warehouse.merge(SYNTHETIC_QUERIES, queries_for({SENTENCES[2]: False}))
    second = next_version(first)
    assert second.manifest.changed == 3
    assert answer(second, "barn owl")[1] < 0.99
    assert answer(second, f"about {SENTENCES[2]}")[1] < 0.99
    moths = second.dense.search(FakeEncoder().encode(["moth"]).vectors, 2)
    found = second.stored.text_hashes.take(pa.array(moths.numbers[0])).to_pylist()
    assert set(found) == {hash_of(SENTENCES[0]), hash_of(SENTENCES[1])}
    assert moths.scores[0] == pytest.approx([1, 1])

    # A query is kept, and was encoded before.
    warehouse.merge(SYNTHETIC_QUERIES, queries_for({SENTENCES[2]: True}))
    third = next_version(second)
    assert (third.manifest.changed, third.manifest.dead) == (1, 4)
    assert answer(third, f"about {SENTENCES[2]}") == (hash_of(SENTENCES[2]), pytest.approx(1))


def late_rows(*texts: str) -> pa.Table:
    vectors = FakeEncoder().encode(texts).vectors
    rows = [
        {
            "text_hash": late_hash(text),
            "encoder_id": FAKE_ENCODER_ID,
            "vector": vector.tolist(),
        }
        for text, vector in zip(texts, vectors, strict=True)
    ]
    return EMBEDDINGS.rows([{**row, "run_id": "run"} for row in rows])
