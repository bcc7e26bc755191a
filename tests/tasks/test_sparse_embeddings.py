"""The sparse stage: one vector a text, nothing twice, and what a text without a term gets."""

from datetime import date
from pathlib import Path

import pyarrow as pa

from models.fake import FAKE_SPARSE_ENCODER_ID, FakeSparseEncoder
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus
from schemas.features import FEATURES
from schemas.sparse_embeddings import SPARSE_EMBEDDINGS
from tasks.composition import PLAIN, Composition
from tasks.run import Run, Silent
from tasks.sparse_embeddings import embed_sparsely, encode_sparsely
from tests.bundles import HEADINGS, SENTENCES, chunks_of, features_for, hash_of
from warehouse.gates import judge, measure
from warehouse.tables import Warehouse


def sparse_night(
    warehouse: Warehouse,
    encoder: FakeSparseEncoder,
    run_id: str,
    where: str = "here",
    composition: Composition = PLAIN,
) -> dict[str, object]:
    told = {"name": "test", "crawl": {"seeds": ["http://example.org/"]}}
    corpus = Corpus.model_validate(told | {"sparse_encoder": {"engine": "fake", "where": where}})
    run = Run(warehouse, corpus, run_id, date(2026, 1, 1), Silent())
    with run.stage("sparse") as stage:
        embed_sparsely(stage, encoder.encoder_id, lambda: encoder, composition)
    return vars(stage.ledger)


def test_every_distinct_text_gets_one_vector_and_only_once(warehouse: Warehouse) -> None:
    warehouse.add(CHUNKS, chunks_of([*SENTENCES, SENTENCES[0]]))
    encoder = FakeSparseEncoder()

    first = sparse_night(warehouse, encoder, "r1")

    assert (first["rows_in"], first["rows_out"]) == (len(SENTENCES), len(SENTENCES))
    stored = warehouse.arrow(SPARSE_EMBEDDINGS, warehouse.read(SPARSE_EMBEDDINGS)).to_pylist()
    assert {row["text_hash"] for row in stored} == {hash_of(sentence) for sentence in SENTENCES}
    (row,) = [row for row in stored if row["text_hash"] == hash_of(SENTENCES[0])]
    (vector,) = encoder.encode([f"{HEADINGS[0]}\n{SENTENCES[0]}"]).vectors
    assert (row["terms"], row["weights"]) == (vector.terms.tolist(), vector.weights.tolist())
    assert row["encoder_id"] == FAKE_SPARSE_ENCODER_ID
    calls = encoder.calls
    again = sparse_night(warehouse, encoder, "r2")
    assert (again["rows_out"], again["skipped"], encoder.calls) == (0, len(SENTENCES), calls)


def test_executors_encode_what_this_process_encodes(warehouse: Warehouse, tmp_path: Path) -> None:
    here = Warehouse(warehouse.spark, str(tmp_path / "here"))
    for each in (here, warehouse):
        each.add(CHUNKS, chunks_of([*SENTENCES, SENTENCES[0], ""]))
    mine = sparse_night(here, FakeSparseEncoder(), "r1")
    theirs = sparse_night(warehouse, FakeSparseEncoder(), "r1", "spark")
    for figure in ("rows_in", "rows_out", "prompt_tokens"):
        assert mine[figure] == theirs[figure]
    rows = [stored_vectors(each) for each in (here, warehouse)]
    assert rows[0] == rows[1]
    assert len(rows[0]) == len(SENTENCES) + 1


def test_a_vector_is_replaced_when_what_is_appended_has_changed(warehouse: Warehouse) -> None:
    warehouse.add(CHUNKS, chunks_of(SENTENCES))
    warehouse.add(FEATURES, features_for({SENTENCES[0]: "owl"}))
    composition = Composition(features=(("keywords", "recipe"),))
    encoder = FakeSparseEncoder()
    written = [sparse_night(warehouse, encoder, "r1", composition=composition)["rows_out"]]
    warehouse.merge(FEATURES, features_for({SENTENCES[0]: "nightjar"}))
    written += [
        sparse_night(warehouse, encoder, run_id, composition=composition)["rows_out"] for run_id in ("r2", "r3")
    ]

    assert written == [len(SENTENCES), 1, 0]
    (vector,) = encoder.encode([f"{HEADINGS[0]}\n{SENTENCES[0]}\nkeywords: nightjar"]).vectors
    expected = (composition.vectors_id(FAKE_SPARSE_ENCODER_ID), vector.terms.tolist(), vector.weights.tolist())
    assert stored_vectors(warehouse)[hash_of(SENTENCES[0])] == expected


def stored_vectors(warehouse: Warehouse) -> dict[str, object]:
    rows = warehouse.arrow(SPARSE_EMBEDDINGS, warehouse.read(SPARSE_EMBEDDINGS)).to_pylist()
    return {row["text_hash"]: (row["encoder_id"], row["terms"], row["weights"]) for row in rows}


def test_a_text_without_a_term_has_a_row_that_the_gate_lets_pass(warehouse: Warehouse) -> None:
    sources = pa.table({"text_hash": ["a", "b"], "heading_path": [[], []], "text": ["...", "owl"]})
    outcome = encode_sparsely(sources, FakeSparseEncoder())
    assert outcome.rows["terms"].to_pylist()[0] == []
    rows = outcome.rows.append_column("run_id", pa.array(["r", "r"]))
    assert warehouse.append(SPARSE_EMBEDDINGS, rows) == 2
    figures = measure(warehouse.read(SPARSE_EMBEDDINGS), SPARSE_EMBEDDINGS.all_expectations)
    assert not judge("sparse_embeddings", figures, SPARSE_EMBEDDINGS.all_expectations).failed
