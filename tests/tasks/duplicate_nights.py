"""Five nights over documents that repeat each other, on Sail, in a process of their own: it takes no Spark beside it.

    python -m tests.tasks.duplicate_nights ROOT

Prints one JSON object a night: the ledger's figures, what every live document repeats, and which are cut.
"""

import json
import sys
from datetime import date
from typing import Any

from models.fake import FakeEncoder
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus
from schemas.documents import DOCUMENTS
from schemas.signatures import SIGNATURES
from schemas.table import Table
from tasks.duplicates import deduplicate
from tasks.passages import chunk
from tasks.run import Run, Silent
from tests.tasks.test_deduplicate import edited, text_of
from warehouse.session import open_session
from warehouse.tables import Warehouse

TEXT = text_of(1, words=300)
NIGHTS: tuple[tuple[tuple[str, str, bool], ...], ...] = (
    (("a", TEXT, True), ("bb", TEXT, True), ("ccc", edited(TEXT, 1), True)),
    (),
    (("a", TEXT, False),),
    (("a", TEXT, True),),
    (("bb", text_of(2, words=300), True),),
)
"""What becomes of documents each night: name, text, and whether they are live."""


def a_document(name: str, text: str, live: bool) -> dict[str, Any]:
    changed = {"text": text, "body_hash": f"body of {text[-20:]}", "live": live, "title": "A title"}
    return {**DOCUMENTS.example, "doc_id": name, "url": f"http://example.org/{name}", **changed}


def night(warehouse: Warehouse, documents: tuple[tuple[str, str, bool], ...]) -> dict[str, Any]:
    """Store the documents, deduplicate and chunk."""
    warehouse.merge(DOCUMENTS, DOCUMENTS.rows([a_document(*document) for document in documents]))
    settings = {"name": "test", "crawl": {"seeds": ["http://example.org/"]}, "encoder": {"engine": "fake"}}
    corpus = Corpus.model_validate(settings)
    run = Run(warehouse, corpus, "r", date(2026, 1, 1), Silent())
    with run.stage("deduplicate") as stage:
        deduplicate(stage)
    with run.stage("chunk") as stage:
        chunk(stage, FakeEncoder)
    ledger = vars(run.ledgers[0])
    return {
        **{name: ledger[name] for name in ("rows_in", "rows_out", "skipped", "detail", "versions_written")},
        "copies": {row["doc_id"]: row["duplicate_of"] for row in live(warehouse, SIGNATURES)},
        "cut": sorted({row["doc_id"] for row in live(warehouse, CHUNKS)}),
    }


def live(warehouse: Warehouse, table: Table) -> list[dict[str, Any]]:
    """The live rows of a table."""
    rows: list[dict[str, Any]] = warehouse.arrow(table, warehouse.read(table).where("live")).to_pylist()
    return rows


if __name__ == "__main__":
    there = Warehouse(open_session("sail"), sys.argv[1])
    for documents in NIGHTS:
        print(json.dumps(night(there, documents)), flush=True)
