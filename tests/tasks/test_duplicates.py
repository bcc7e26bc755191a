"""The deduplicate stage through the tables, on Sail: what is kept, what a second night writes, who comes after."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from schemas.chunks import CHUNKS
from schemas.corpus import Corpus
from schemas.documents import DOCUMENTS
from schemas.signatures import SIGNATURES
from schemas.table import Table
from tasks.duplicates import deduplicate
from tasks.passages import chunk
from tasks.run import Run
from tests.tasks.test_deduplicate import edited, text_of
from tests.tasks.test_job import Silent
from warehouse.session import open_session
from warehouse.tables import Warehouse

TEXT = text_of(1, words=300)


def a_document(name: str, text: str, *, live: bool = True) -> dict[str, Any]:
    return {**DOCUMENTS.example, "doc_id": name, "url": f"http://example.org/{name}", "title": "A title"} | {
        "text": text,
        "body_hash": f"body of {text[-20:]}",
        "live": live,
    }


class Nights:
    """Nights over documents that a test writes itself."""

    def __init__(self, root: Path) -> None:
        self.warehouse = Warehouse(open_session("sail"), str(root))

    def night(self, *documents: dict[str, Any]) -> dict[str, Any]:
        """Store the documents, deduplicate and chunk; the ledger of the first."""
        if documents:
            self.warehouse.merge(DOCUMENTS, DOCUMENTS.rows(list(documents)))
        corpus = Corpus.model_validate({"name": "test", "crawl": {"seeds": ["http://example.org/"]}})
        run = Run(self.warehouse, corpus, "r", date(2026, 1, 1), Silent())
        with run.stage("deduplicate") as stage:
            deduplicate(stage)
        with run.stage("chunk") as stage:
            chunk(stage, "encoder", lambda texts: [len(text.split()) for text in texts])
        return vars(run.ledgers[0])

    def copies(self) -> dict[str, str | None]:
        return {row["doc_id"]: row["duplicate_of"] for row in self._live(SIGNATURES)}

    def chunked(self) -> set[str]:
        return {row["doc_id"] for row in self._live(CHUNKS)}

    def _live(self, table: Table) -> list[dict[str, Any]]:
        rows: pa.Table = self.warehouse.arrow(table, self.warehouse.read(table).where("live"))
        return rows.to_pylist()


@pytest.mark.slow
def test_a_duplicate_takes_the_place_of_a_kept_copy_that_is_gone(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    first = nights.night(*(a_document(*each) for each in (("a", TEXT), ("bb", TEXT), ("ccc", edited(TEXT, 1)))))
    assert nights.copies() == {"a": None, "bb": "a", "ccc": "a"}
    assert nights.chunked() == {"a"}
    assert (first["rows_in"], first["rows_out"]) == (3, 3)
    assert first["detail"] == "1 exact and 1 near duplicates found"

    again = nights.night()
    assert (again["rows_out"], again["skipped"], again["versions_written"]) == (0, 3, {})

    nights.night(a_document("a", TEXT, live=False))
    assert nights.copies() == {"bb": None, "ccc": "bb"}
    assert nights.chunked() == {"bb"}

    nights.night(a_document("a", TEXT))
    assert nights.copies() == {"a": "bb", "bb": None, "ccc": "bb"}

    nights.night(a_document("bb", text_of(2, words=300)))
    assert nights.copies() == {"a": None, "bb": None, "ccc": "a"}
    assert nights.chunked() == {"a", "bb"}
