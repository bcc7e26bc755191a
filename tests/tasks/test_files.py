"""Pages out of files, night after night."""

from datetime import UTC, date, datetime
from pathlib import Path

from schemas.corpus import Corpus
from schemas.pages import PAGES
from schemas.quarantine import QUARANTINE
from tasks.files import read_archives, read_folder
from tasks.run import Ledger, Run, Silent, Stage
from tests.tasks.crawling.archives import Answer, warc
from warehouse.tables import Warehouse

SITE = "http://site.example"


def a_stage(warehouse: Warehouse, corpus: Corpus, day: int) -> Stage:
    run = Run(warehouse, corpus, f"r{day}", date(2026, 1, day), Silent())
    return Stage(run, Ledger("files", datetime.now(UTC)))


def archive_night(warehouse: Warehouse, folder: Path, day: int) -> Ledger:
    corpus = Corpus.model_validate({"name": "test", "warc": {"files": [str(folder / "*.warc.gz")]}})
    assert corpus.warc is not None
    stage = a_stage(warehouse, corpus, day)
    read_archives(stage, corpus.warc)
    return stage.ledger


def test_a_second_night_writes_what_is_new_and_nothing_else(warehouse: Warehouse, tmp_path: Path) -> None:
    old = warc([Answer(SITE + "/a", b"<p>old</p>"), Answer(SITE + "/b")])
    (tmp_path / "1.warc.gz").write_bytes(old)
    (tmp_path / "2.warc.gz").write_bytes(b"no archive")
    first = archive_night(warehouse, tmp_path, 1)
    assert (first.rows_out, first.quarantined) == (2, 1)

    later = {"WARC-Date": "2025-01-01T00:00:00Z"}
    newer = warc([Answer(SITE + "/a", b"<p>new</p>", archived=later), Answer(SITE + "/b", archived=later)])
    (tmp_path / "3.warc.gz").write_bytes(newer)
    second = archive_night(warehouse, tmp_path, 2)
    assert (second.rows_in, second.rows_out, second.quarantined) == (1, 1, 0)

    rows = warehouse.arrow(PAGES, warehouse.read(PAGES).orderBy("url", "ds")).to_pylist()
    assert [(row["url"].removeprefix(SITE), row["ds"].day, row["body"]) for row in rows] == [
        ("/a", 1, b"<p>old</p>"),
        ("/a", 2, b"<p>new</p>"),
        ("/b", 1, b"<p>text</p>"),
    ]
    (broken,) = warehouse.arrow(QUARANTINE, warehouse.read(QUARANTINE)).to_pylist()
    assert (broken["reason"], broken["source_key"]) == ("broken_file", str(tmp_path / "2.warc.gz"))


def folder_night(warehouse: Warehouse, folder: Path, day: int) -> Ledger:
    settings = {"path": str(folder), "url_prefix": SITE + "/"}
    corpus = Corpus.model_validate({"name": "test", "folder": settings})
    assert corpus.folder is not None
    stage = a_stage(warehouse, corpus, day)
    read_folder(stage, corpus.folder)
    return stage.ledger


def test_a_file_that_is_gone_is_a_page_that_is_gone(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p>a</p>")
    (tmp_path / "b.html").write_text("<p>b</p>")
    assert folder_night(warehouse, tmp_path, 1).rows_out == 2
    (tmp_path / "b.html").unlink()
    second = folder_night(warehouse, tmp_path, 2)
    assert (second.rows_in, second.rows_out) == (1, 1)
    third = folder_night(warehouse, tmp_path, 3)
    assert (third.rows_in, third.rows_out, third.skipped, third.versions_written) == (0, 0, 1, {})
    gone = warehouse.arrow(PAGES, warehouse.read(PAGES).where("outcome = 'gone'")).to_pylist()
    assert [(row["url"], row["ds"].day) for row in gone] == [(SITE + "/b.html", 2)]
