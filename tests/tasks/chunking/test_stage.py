"""Another strategy cuts every document anew; the same one finds nothing to do and opens no encoder."""

from datetime import date

from models.fake import FakeEncoder
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus
from schemas.documents import DOCUMENTS
from tasks.passages import chunk
from tasks.run import Ledger, Run, Silent
from warehouse.tables import Warehouse

TEXT = "moths fly at night\n\nwrenches tighten bolts"


def night(warehouse: Warehouse, strategy: str, encoder: FakeEncoder) -> Ledger:
    crawl = {"seeds": ["http://example.org/"]}
    settings = {"name": "test", "crawl": crawl, "chunk": {"strategy": strategy}, "encoder": {"engine": "fake"}}
    corpus = Corpus.model_validate(settings)
    run = Run(warehouse, corpus, strategy, date(2026, 1, 1), Silent())
    with run.stage("chunk") as stage:
        chunk(stage, lambda: encoder)
    return stage.ledger


def live_texts(warehouse: Warehouse) -> list[str]:
    rows = warehouse.arrow(CHUNKS, warehouse.read(CHUNKS).where("live")).to_pylist()
    return sorted(row["text"] for row in rows)


def test_a_corpus_changes_its_strategy(warehouse: Warehouse) -> None:
    warehouse.append(DOCUMENTS, DOCUMENTS.rows([dict(DOCUMENTS.example) | {"text": TEXT}]))
    encoder = FakeEncoder()
    assert night(warehouse, "structure", encoder).tokens == 0
    assert live_texts(warehouse) == [TEXT]
    assert night(warehouse, "semantic", encoder).tokens == 7
    assert live_texts(warehouse) == TEXT.split("\n\n")
    assert (night(warehouse, "semantic", encoder).skipped, encoder.calls) == (1, 1)
