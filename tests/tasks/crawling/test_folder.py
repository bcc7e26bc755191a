import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from schemas.corpus import FolderSettings
from schemas.errors import CorpusError
from schemas.hashing import digest
from tasks.crawling.folder import folder_files, read_files
from tasks.crawling.order import FETCHED

PREFIX = "http://site.example/docs/"


def read(root: Path, stored: dict[str, str] | None = None, **changes: object) -> dict[str, dict[str, Any]]:
    """Rows by what follows the prefix; all of them fit the schema."""
    settings = FolderSettings.model_validate({"path": str(root), "url_prefix": PREFIX, **changes})
    rows = list(read_files(folder_files(settings), settings, stored or {}))
    table = pa.Table.from_pylist(rows, schema=FETCHED)
    return {row["url"].removeprefix(PREFIX): row for row in table.to_pylist()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    (folder / "a b" / ".git").mkdir(parents=True)
    (folder / "index.html").write_text("<p>index</p>")
    (folder / "a b" / "what?.html").write_text("<p>deep</p>")
    (folder / "a b" / ".git" / "x.html").write_text("hidden")
    (folder / ".hidden.html").write_text("hidden")
    (folder / "notes.txt").write_text("no page")
    return folder


def test_files_become_pages(root: Path) -> None:
    found = read(root)
    assert found.keys() == {"index.html", "a%20b/what%3F.html"}
    row = found["index.html"]
    assert (row["outcome"], row["status"], row["depth"], row["content_type"]) == ("ok", 0, 0, "text/html")
    assert (row["body"], row["body_hash"], row["source"]) == (b"<p>index</p>", digest(b"<p>index</p>"), str(root))
    assert read(root, pattern="*.txt").keys() == {"notes.txt"}


def test_what_is_not_to_be_read_is_refused(root: Path) -> None:
    (root.parent / "secret.html").write_text("secret")
    (root / "out.html").symlink_to(root.parent / "secret.html")
    (root / "within.html").symlink_to(root / "index.html")
    (root / "circle.html").symlink_to(root / "circle.html")
    (root / "outside").symlink_to(root.parent)
    os.mkfifo(root / "pipe.html")
    (root / "long.html").write_text("x" * 100)
    (root / os.fsdecode(b"\xff.html")).write_text("a name that is no UTF-8")
    found = read(root, max_body_bytes=50)
    assert {name: (row["outcome"], row["detail"]) for name, row in found.items() if row["outcome"] != "ok"} == {
        "out.html": ("refused", "a link that leads out of the folder"),
        "circle.html": ("failed", found["circle.html"]["detail"]),
        "pipe.html": ("refused", "no regular file"),
        "long.html": ("refused", "longer than 50 bytes"),
    }
    assert found["within.html"]["body"] == b"<p>index</p>"
    assert found["%FF.html"]["outcome"] == "ok"
    assert all(b"secret" not in (row["body"] or b"") for row in found.values())


def test_only_what_changed_gives_rows(root: Path) -> None:
    first = read(root)
    stored = {row["url"]: row["body_hash"] for row in first.values()}
    assert read(root, stored) == {}
    (root / "index.html").write_text("<p>new</p>")
    (root / "a b" / "what?.html").unlink()
    second = read(root, stored)
    assert {name: row["outcome"] for name, row in second.items()} == {"index.html": "ok", "a%20b/what%3F.html": "gone"}
    assert second["a%20b/what%3F.html"]["body_hash"] is None


def test_a_folder_without_pages_retires_nothing(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"there is no file \*\*/\*\.html in this folder. Pages .* are kept"):
        read(tmp_path / "not-mounted", {PREFIX + "a.html": "1234"})
