"""Nights over files alone: no site is crawled, and a file that goes takes its passages along."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from bench.kills import nightly_command
from tests.small_site import PAGES
from tests.tasks.crawling.archives import Answer, warc
from warehouse.bundle import open_version
from warehouse.pointer import live_pointer

pytestmark = pytest.mark.slow

CORPUS = """
name = "files"
warehouse = "root"
spark = "sail"

[folder]
path = "pages"
url_prefix = "https://birds.example.org/"

[warc]
files = ["*.warc.gz"]

[deduplicate]
enabled = false  # two pages here have one text

[language_model]
engine = "fake"

[encoder]
engine = "fake"

[[recipes]]
name = "keywords"
"""

HAWKS = "https://hawks.example.org/"
HIDDEN = "https://hawks.example.org/hidden"
NOINDEX = {"Content-Type": "text/html", "X-Robots-Tag": "noindex"}
NOAI = {"Content-Type": "text/html", "X-Robots-Tag": "noai"}
HAWK = Answer(HAWKS, b"<title>Hawks</title><h1>Hawks</h1><p>Hawks hunt by day and sleep at night.</p>")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "pages").mkdir()
    for name, body in PAGES.items():
        (tmp_path / "pages" / name).write_text(body)
    (tmp_path / "hawks.warc.gz").write_bytes(warc([HAWK, HAWK._replace(url=HIDDEN, headers=NOINDEX)]))
    (tmp_path / "files.toml").write_text(CORPUS)
    return tmp_path / "files.toml"


def table(corpus: Path, name: str) -> list[dict[str, Any]]:
    return DeltaTable(str(corpus.parent / "root" / "tables" / name)).to_pyarrow_table().to_pylist()


def live_urls(corpus: Path, name: str) -> set[str]:
    return {row["url"] for row in table(corpus, name) if row["live"]}


def test_nights_over_files(corpus: Path, prefect_api: str) -> None:
    def nightly(ds: str) -> None:
        environment = {**os.environ, "PREFECT_API_URL": prefect_api, "PYTHONPATH": str(Path.cwd())}
        subprocess.run(
            nightly_command(corpus.name, ds), env=environment, cwd=corpus.parent, check=True, capture_output=True
        )

    nightly("2026-01-01")
    pages = {f"https://birds.example.org/{name}" for name in PAGES} | {HAWKS}
    assert live_urls(corpus, "documents") == live_urls(corpus, "chunks") == pages
    assert [row["reason"] for row in table(corpus, "quarantine")] == ["noindex"]
    (hawk,) = (row for row in table(corpus, "chunks") if row["url"] == HAWKS)
    assert (hawk["directives"], hawk["withheld"]) == ([], False)
    described = {row["text_hash"] for row in table(corpus, "features")}
    assert described == {row["text_hash"] for row in table(corpus, "chunks")}
    (corpus.parent / "pages" / "owl.html").unlink()
    # The same body, which now may not be given to a language model; and one that is hidden and then shown.
    later = {"WARC-Date": "2025-01-01T00:00:00Z"}
    changed = [HAWK._replace(headers=NOAI, archived=later), HAWK._replace(url=HIDDEN, headers=NOAI, archived=later)]
    (corpus.parent / "more.warc.gz").write_bytes(warc(changed))
    nightly("2026-01-02")
    left = pages - {"https://birds.example.org/owl.html"} | {HIDDEN}
    assert live_urls(corpus, "documents") == live_urls(corpus, "chunks") == left
    hawks = [row for row in table(corpus, "chunks") if row["url"] in (HAWKS, HIDDEN)]
    assert [(row["directives"], row["withheld"], row["text_hash"]) for row in hawks] == [
        (["noai"], True, hawk["text_hash"])
    ] * 2
    assert {row["text_hash"] for row in table(corpus, "features")} == described
    root = str(corpus.parent / "root")
    stored = open_version(root, live_pointer(root).index_id, verify=False).stored
    assert stored.features(stored.numbers(pa.chunked_array([[hawk["text_hash"]]])), "keywords") == [""]
    # Once no page says noai any more the feature that was written is back, and noindex retires a document.
    latest = {"WARC-Date": "2026-01-01T00:00:00Z"}
    changed = [HAWK._replace(headers=NOINDEX, archived=latest), HAWK._replace(url=HIDDEN, archived=latest)]
    (corpus.parent / "most.warc.gz").write_bytes(warc(changed))
    nightly("2026-01-03")
    assert live_urls(corpus, "documents") == live_urls(corpus, "chunks") == left - {HAWKS}
    stored = open_version(root, live_pointer(root).index_id, verify=False).stored
    assert stored.features(stored.numbers(pa.chunked_array([[hawk["text_hash"]]])), "keywords") != [""]
