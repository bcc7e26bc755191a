"""What other people's archives hold becomes rows; what is broken in them is said and ends nothing else."""

import gzip
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.corpus import WarcSettings
from schemas.errors import CorpusError
from schemas.hashing import digest
from tasks.crawling.captures import Captures
from tasks.crawling.order import FETCHED
from tasks.crawling.warc import UNDATED, BrokenArchive, read_warc, warc_files
from tasks.crawling.warc_writing import write_warc
from tests.tasks.crawling.archives import DATE, Answer, warc

SITE = "http://site.example"
HTML = {"Content-Type": "text/html"}
WHOLE = [warc([Answer(SITE + "/a"), Answer(SITE + "/b")], compressed) for compressed in (True, False)]


def read(file: Path, captures: Captures | None = None, **changes: object) -> dict[str, dict[str, Any]]:
    """Rows of a file by what follows the site; all of them fit the schema."""
    wanted = WarcSettings.model_validate({"files": ["x"], **changes})
    rows = list(read_warc(file, wanted, captures or Captures({})))
    table = pa.Table.from_pylist(rows, schema=FETCHED)
    return {row["url"].removeprefix(SITE): row for row in table.to_pylist()}


def written(folder: Path, content: bytes, name: str = "a.warc.gz") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compressed", [True, False])
def test_pages_become_rows_as_a_crawl_makes_them(tmp_path: Path, compressed: bool) -> None:
    headers = HTML | {"ETag": '"v1"', "Last-Modified": "Mon, 06 May 2024 07:00:00 GMT", "X-Robots-Tag": "noai"}
    answers = [
        Answer("HTTP://Site.example:80/a?utm_source=x#top", b"<p>one</p>", headers),
        Answer(SITE + "/untyped", b"<p>two</p>", {}),
        Answer(SITE + "/picture", b"GIF89a", {"Content-Type": "image/gif"}),
        Answer(SITE + "/missing", b"no", HTML, "404 Not Found"),
        Answer("dns:site.example", b"1.2.3.4"),
        Answer(SITE + "/private/x", b"secret"),
    ]
    path = written(tmp_path, warc(answers, compressed))
    found = read(path, deny=["/private/"])
    assert found.keys() == {"/a", "/untyped"}
    assert found["/a"] == {
        "url": SITE + "/a",
        "fetched_at": datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
        "outcome": "ok",
        "status": 200,
        "content_type": "text/html",
        "body": b"<p>one</p>",
        "body_hash": digest(b"<p>one</p>"),
        "etag": '"v1"',
        "last_modified": "Mon, 06 May 2024 07:00:00 GMT",
        "robots_tag": "noai",
        "links": None,
        "depth": 0,
        "detail": None,
        "source": str(path),
    }
    assert read(path, allow=["/untyped$"]).keys() == {"/untyped"}


def test_records_that_cannot_be_taken_say_why(tmp_path: Path) -> None:
    answers = [
        Answer(SITE + "/long", b"x" * 2000),
        Answer(SITE + "/cut", archived={"WARC-Date": DATE, "WARC-Truncated": "length"}),
        Answer(SITE + "/bomb", gzip.compress(bytes(3_000_000))[:900_000], HTML | {"Content-Encoding": "gzip"}),
        Answer(SITE + "/odd", headers=HTML | {"Content-Encoding": "rot13"}),
        Answer(SITE + "/silent", status="2x0 What"),
        Answer(SITE + "/good", gzip.compress(b"<p>good</p>"), HTML | {"Content-Encoding": "gzip"}),
    ]
    found = read(written(tmp_path, warc(answers)), max_body_bytes=1_900)
    assert {path: (row["outcome"], row["detail"]) for path, row in found.items()} == {
        "/long": ("refused", "longer than 1900 bytes"),
        "/cut": ("refused", "cut short by whoever archived it (length)"),
        "/bomb": ("refused", "longer than 1900 bytes"),
        "/odd": ("refused", "has the unknown encoding 'rot13'"),
        "/silent": ("failed", "no HTTP answer, or one that is cut short"),
        "/good": ("ok", None),
    }
    assert found["/good"]["body"] == b"<p>good</p>"


def read_broken(file: Path, match: str) -> dict[str, dict[str, Any]]:
    """Rows of a file that breaks off, by what follows the site."""
    rows: list[dict[str, Any]] = []
    with pytest.raises(BrokenArchive, match=match):
        for row in read_warc(file, WarcSettings(files=("x",)), Captures({})):
            rows.append(row)
    return {row["url"].removeprefix(SITE): row for row in rows}


def test_a_file_that_breaks_off_keeps_what_came_before(tmp_path: Path) -> None:
    whole = warc([Answer(SITE + "/a"), Answer(SITE + "/b", b"b" * 50)], gzip=False)
    found = read_broken(written(tmp_path, whole[:-20], "cut.warc"), f"^ends inside the record of {SITE}/b$")
    assert (found["/a"]["outcome"], found["/b"]["outcome"]) == ("ok", "failed")
    assert found["/b"]["detail"] == "the record is broken: ends after 34 of 50 bytes"

    tail = written(tmp_path, whole + b"and then\r\nsomething else\r\n" * 9, "tail.warc")
    assert read_broken(tail, "Invalid WARC header").keys() == {"/a", "/b"}


@pytest.mark.parametrize("compressed", [True, False])
def test_a_file_cut_inside_a_header_is_broken_and_no_wrong_page_comes_of_it(tmp_path: Path, compressed: bool) -> None:
    whole = warc([Answer(SITE + "/a"), Answer(SITE + "/b/longer", random.Random(1).randbytes(200))], compressed)
    start = whole.rindex(b"\x1f\x8b\x08" if compressed else b"WARC/1.0")
    for cut in range(start + 1, len(whole) - 230):
        found = read_broken(written(tmp_path, whole[:cut]), "^(ends |Invalid WARC header)")
        assert found.pop("/a")["outcome"] == "ok"
        assert {path: row["outcome"] for path, row in found.items()} in ({}, {"/b/longer": "failed"})
    assert read(written(tmp_path, whole[:start])).keys() == {"/a"}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    headers = HTML | {"ETag": '"v1"', "Last-Modified": "Mon, 06 May 2024 07:00:00 GMT", "X-Robots-Tag": "noai"}
    dated = {"WARC-Date": "2024-05-06T07:08:09.123456Z"}
    answers = [
        Answer(SITE + "/a?x=%C3%A4", b"", headers, archived=dated),
        Answer(SITE + "/untyped", bytes(range(256)) * 500, {}),
        Answer(SITE + "/undated", headers={"Content-Type": "text/html; charset=\u00e4"}, archived={"WARC-Date": "x"}),
    ]
    first = read(written(tmp_path, warc(answers)))
    assert len(first) == 3
    first["/untyped"]["robots_tag"] = "otherbot: noindex\nnoai"
    for name in ("b.warc.gz", "b.warc"):
        with (tmp_path / name).open("wb") as file:
            assert write_warc(file, first.values(), compressed=name.endswith("gz")) == 3
        again = read(tmp_path / name)
        assert again == {url: row | {"source": str(tmp_path / name)} for url, row in first.items()}


def test_a_header_that_changed_is_news(tmp_path: Path) -> None:
    captures = Captures({})
    later = {"WARC-Date": "2025-01-01T00:00:00Z"}
    latest = {"WARC-Date": "2026-01-01T00:00:00Z"}
    read(written(tmp_path, warc([Answer(SITE + "/a")])), captures)
    tagged = Answer(SITE + "/a", headers=HTML | {"X-Robots-Tag": "noai"}, archived=later)
    assert read(written(tmp_path, warc([tagged])), captures)["/a"]["robots_tag"] == "noai"
    assert read(written(tmp_path, warc([tagged._replace(archived=latest)])), captures) == {}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_gives_rows_or_is_broken(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(WHOLE)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = written(tmp_path_factory.getbasetemp(), bytes(content[: data.draw(st.integers(0, len(content)))]), "damaged")
    try:
        read(path)
    except BrokenArchive as error:
        assert str(error)


@given(st.permutations([("2024-01-01", b"old"), ("2024-02-01", b"bad"), ("2024-03-01", b"new"), ("", b"undated")]))
def test_the_newest_capture_is_kept_whatever_the_order(
    tmp_path_factory: pytest.TempPathFactory, captures: list[tuple[str, bytes]]
) -> None:
    answers = [
        Answer(
            SITE + "/a",
            body,
            HTML | ({"Content-Encoding": "rot13"} if body == b"bad" else {}),
            archived={"WARC-Date": f"{date}T00:00:00Z" if date else "whenever"},
        )
        for date, body in captures
    ]
    path = written(tmp_path_factory.getbasetemp(), warc(answers), "order.warc.gz")
    kept = Captures({})
    assert read(path, kept)["/a"]["body"] == b"new"
    assert read(path, kept) == {}


def test_a_date_that_cannot_be_is_none(tmp_path: Path) -> None:
    answer = Answer(SITE + "/a", archived={"WARC-Date": "9024-05-06T07:08:09Z"})
    assert read(written(tmp_path, warc([answer])))["/a"]["fetched_at"] == UNDATED


def test_files_are_found_by_path_and_glob(tmp_path: Path) -> None:
    b, a = written(tmp_path, b"", "b.warc"), written(tmp_path, b"", "a.warc")
    assert warc_files((str(b), str(tmp_path / "*.warc"))) == [a, b]
    missing = str(tmp_path / "*.warc.gz")
    with pytest.raises(CorpusError) as caught:
        warc_files((str(a), missing))
    assert str(caught.value) == (
        f"{missing}: there is no such WARC file. Put it there, or correct warc.files in the corpus."
    )
