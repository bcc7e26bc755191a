"""A chunk's lineage names everything that made it and everything made of it."""

import pytest

from flows.explaining import explain
from flows.opening import open_warehouse
from schemas.chunks import CHUNKS
from schemas.corpus import load_corpus
from schemas.errors import UnknownName
from tests.conftest import Night
from warehouse.pointer import read_pointer


def test_a_chunk_is_explained_from_its_page_to_its_index(night: Night) -> None:
    corpus = load_corpus(night.corpus)
    warehouse = open_warehouse(corpus)
    chunk = warehouse.read(CHUNKS).where("text LIKE '%moths on the wing%'").first()
    assert chunk is not None
    rows = explain(warehouse, corpus, chunk["chunk_id"])
    parts = {row["part"]: row for row in rows}
    assert [row["part"] for row in rows[:3]] == ["page", "document", "chunk"]
    assert parts["page"]["id"] == "http://birds.localhost/nightjar.html"
    assert parts["page"]["at"].tzinfo is not None
    assert parts["document"]["text"] == "nightjar.html"
    assert "moths on the wing" in parts["chunk"]["text"]
    assert (parts["document"]["directives"], parts["chunk"]["licence"]) == ("noarchive", "(c) Birds")
    assert parts["synthetic query"]["prompt_tokens"] > 0
    assert parts["synthetic query"]["model_id"]
    assert parts["embedding"]["made_by"]
    live = read_pointer(corpus.warehouse)
    assert live is not None
    assert (parts["index"]["id"], parts["index"]["text"]) == (live.index_id, "published")
    assert all(row["run_id"] == night.run["run_id"] for row in rows)


def test_an_unknown_chunk_is_one_line(night: Night) -> None:
    corpus = load_corpus(night.corpus)
    with pytest.raises(UnknownName, match=r"unknown chunk 'nope'\. Known: those that nightjar search birds --json"):
        explain(open_warehouse(corpus), corpus, "nope")
