"""Nights over files alone: no site is crawled, and a file that goes takes its passages along."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.small_site import PAGES
from tests.tasks.crawling.archives import Answer, warc

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

[language_model]
engine = "fake"

[encoder]
engine = "fake"
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "pages").mkdir()
    for name, body in PAGES.items():
        (tmp_path / "pages" / name).write_text(body)
    hawk = Answer("https://hawks.example.org/", b"<h1>Hawks</h1><p>Hawks hunt by day and sleep at night.</p>")
    (tmp_path / "hawks.warc.gz").write_bytes(warc([hawk]))
    (tmp_path / "files.toml").write_text(CORPUS)
    return tmp_path / "files.toml"


def live_urls(corpus: Path, table: str) -> set[str]:
    rows = DeltaTable(str(corpus.parent / "root" / "tables" / table)).to_pyarrow_table(columns=["url", "live"])
    return {row["url"] for row in rows.to_pylist() if row["live"]}


def test_nights_over_files(corpus: Path, prefect_api: str) -> None:
    def nightly(ds: str) -> None:
        command = [sys.executable, "-c", "from flows.cli import main; main()", "nightly", corpus.name, "--ds", ds]
        environment = {**os.environ, "PREFECT_API_URL": prefect_api, "PYTHONPATH": str(Path.cwd())}
        subprocess.run(command, env=environment, cwd=corpus.parent, check=True, capture_output=True)

    nightly("2026-01-01")
    pages = {f"https://birds.example.org/{name}" for name in PAGES} | {"https://hawks.example.org/"}
    assert live_urls(corpus, "documents") == live_urls(corpus, "chunks") == pages
    (corpus.parent / "pages" / "owl.html").unlink()
    nightly("2026-01-02")
    left = pages - {"https://birds.example.org/owl.html"}
    assert live_urls(corpus, "documents") == live_urls(corpus, "chunks") == left
