"""Passages that are given, night after night."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from schemas.chunks import CHUNKS
from schemas.corpus import Corpus, PassagesSettings
from schemas.documents import DOCUMENTS
from schemas.errors import CorpusError
from schemas.quarantine import QUARANTINE, Reason
from tasks.given import passage_url, read_passages, take_passages
from tasks.outcome import Rejection
from tasks.run import Ledger, Run, Silent, Stage
from tests.judged_birds import PASSAGES, write_passages
from warehouse.tables import Warehouse

BAD_LINES = {
    "not json": Reason.INVALID_ROW,
    "[1]": Reason.INVALID_ROW,
    '{"_id": "", "text": "no id"}': Reason.INVALID_ROW,
    '{"_id": "x", "text": 3}': Reason.INVALID_ROW,
    '{"_id": "x", "title": " ", "text": ""}': Reason.EMPTY_TEXT,
    '{"_id": "owl", "text": "again"}': Reason.INVALID_ROW,
}


def test_bad_lines_are_rejected_with_a_reason_and_good_ones_taken(tmp_path: Path) -> None:
    write_passages(tmp_path, PASSAGES, *BAD_LINES)
    settings = PassagesSettings(path=str(tmp_path / "corpus.jsonl"))
    rejections: list[Rejection] = []
    found = list(read_passages(settings, rejections))
    assert [passage.url for passage in found] == [f"passage:{key}" for key in PASSAGES]
    assert [rejection.reason for rejection in rejections] == list(BAD_LINES.values())
    assert rejections[0].detail.startswith(f"{settings.path}:6: ")


def test_a_line_separator_inside_a_text_ends_no_line_and_a_title_alone_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a/b", "text": "one\u2028two"}\r\n{"_id": "c", "title": "T"}\n')
    settings = PassagesSettings(path=str(tmp_path / "corpus.jsonl"))
    first, second = read_passages(settings, [])
    assert (first.url, first.text) == ("passage:a%2Fb", "one\u2028two")
    assert first.url == passage_url(settings, "a/b")
    assert (second.title, second.text) == ("", "T")


def night(warehouse: Warehouse, folder: Path, day: int) -> Ledger:
    corpus = Corpus.model_validate({"name": "test", "passages": {"path": str(folder / "corpus.jsonl")}})
    assert corpus.passages is not None
    run = Run(warehouse, corpus, f"r{day}", date(2026, 1, day), Silent())
    stage = Stage(run, Ledger("passages", datetime.now(UTC)))
    take_passages(stage, corpus.passages, lambda text: len(text.split()))
    return stage.ledger


def test_nights_write_what_changed_and_retire_what_left(warehouse: Warehouse, tmp_path: Path) -> None:
    write_passages(tmp_path, PASSAGES, "not json")
    first = night(warehouse, tmp_path, 1)
    assert (first.rows_in, first.rows_out, first.quarantined) == (6, 5, 1)
    again = night(warehouse, tmp_path, 2)
    assert (again.rows_out, again.quarantined, again.skipped, again.versions_written) == (0, 0, 5, {})

    changed = {**PASSAGES, "owl": ("Owls", "Owls turn their heads.")}
    del changed["mouse"]
    write_passages(tmp_path, changed)
    night(warehouse, tmp_path, 3)
    chunks = warehouse.arrow(CHUNKS, warehouse.read(CHUNKS).where("live")).to_pylist()
    assert {row["url"]: row["text"] for row in chunks} == {f"passage:{key}": text for key, (_, text) in changed.items()}
    documents = warehouse.arrow(DOCUMENTS, warehouse.read(DOCUMENTS).where("live")).to_pylist()
    assert {row["doc_id"]: row["text"] for row in documents} == {row["doc_id"]: row["text"] for row in chunks}
    (bad,) = warehouse.arrow(QUARANTINE, warehouse.read(QUARANTINE)).to_pylist()
    assert (bad["reason"], bad["raw"]) == ("invalid_row", "not json")


def test_a_file_without_passages_is_an_error_and_retires_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"id": "wrong key", "text": "x"}) + "\n")
    with pytest.raises(CorpusError, match="no line is a passage"):
        night(warehouse, tmp_path, 1)
