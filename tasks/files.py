"""The stages that take pages in from files: web archives and a folder."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from pyspark.sql import functions as F

from schemas.corpus import FolderSettings, WarcSettings
from schemas.pages import PAGES
from schemas.quarantine import Reason
from tasks.crawl import commit_pages
from tasks.crawling.captures import Captures, Known, known_captures
from tasks.crawling.folder import folder_files, read_files
from tasks.crawling.order import FETCHED
from tasks.crawling.stream import BATCH_BYTES, BATCH_ROWS
from tasks.crawling.warc import BrokenArchive, Row, read_warc, warc_files
from tasks.job import quarantine_once
from tasks.outcome import Rejection
from tasks.run import Stage

PRODUCER = "warc"

# A commit costs seconds, and files give pages faster than sites.
ROWS_PER_COMMIT = 16 * BATCH_ROWS


def read_archives(stage: Stage, settings: WarcSettings) -> None:
    """Bring `pages` up to the newest capture of every page in the corpus's WARC files.

    A capture that is stored, or older than what is stored of its URL, costs the reading of its headers.

    Raises:
        CorpusError: a file is not there or cannot be opened; pages of the files before it are committed.
    """
    files = warc_files(settings.files)
    captures = Captures(_stored(stage))
    broken: list[Rejection] = []
    stage.run.progress.begin(stage.ledger.stage, len(files), "files")
    try:
        for path in files:
            for rows in in_batches(_rows(path, settings, captures, broken)):
                commit_pages(stage, rows)
            stage.run.progress.advance(1)
    finally:
        stage.run.progress.end()
    quarantine_once(stage, PRODUCER, broken)


def read_folder(stage: Stage, settings: FolderSettings) -> None:
    """Bring `pages` up to the folder: what is new, what changed, and what is gone.

    Raises:
        CorpusError: the folder is not there, or holds no page.
    """
    files = folder_files(settings)
    stored = _stored_of_folder(stage, settings)
    stage.run.progress.begin(stage.ledger.stage, len(files), "files")
    try:
        for rows in in_batches(read_files(files, settings, stored)):
            commit_pages(stage, rows)
    finally:
        stage.run.progress.end()
    stage.ledger.skipped = max(0, len(files) - stage.ledger.rows_in)


def in_batches(rows: Iterable[Row]) -> Iterator[pa.Table]:
    """Tables of rows, bounded in rows and bytes; of a URL that stands twice in one, the later row."""
    batch: dict[str, Row] = {}
    size = 0
    for row in rows:
        batch[row["url"]] = row
        size += len(row.get("body") or b"")
        if len(batch) >= ROWS_PER_COMMIT or size >= BATCH_BYTES:
            yield pa.Table.from_pylist(list(batch.values()), schema=FETCHED)
            batch, size = {}, 0
    if batch:
        yield pa.Table.from_pylist(list(batch.values()), schema=FETCHED)


def _rows(path: Path, settings: WarcSettings, captures: Captures, broken: list[Rejection]) -> Iterator[Row]:
    """A file's rows; a file that breaks off is a rejection and ends there."""
    try:
        yield from read_warc(path, settings, captures)
    except BrokenArchive as error:
        broken.append(Rejection(str(path), Reason.BROKEN_FILE, f"{path}: {error}"))


def _stored(stage: Stage) -> dict[str, Known]:
    """By URL the newest that is stored; what says something about the page goes before what does not."""
    telling = ~F.col("outcome").isin("failed", "refused")
    captures = stage.read(PAGES).select("url", "fetched_at", "body_hash", telling.alias("telling"), "robots_tag")
    newest = F.max_by(F.struct("fetched_at", "body_hash", "telling", "robots_tag"), F.struct("telling", "fetched_at"))
    frame = captures.groupBy("url").agg(newest.alias("page")).select("url", "page.*")
    return known_captures(stage.run.warehouse.arrow(PAGES, frame).to_pylist())


def _stored_of_folder(stage: Stage, settings: FolderSettings) -> dict[str, str]:
    """URL to body_hash of the folder's live pages: no other ones are without an HTTP status and have a body."""
    pages = stage.read(PAGES).where("status = 0 AND outcome IN ('ok', 'gone')")
    pages = pages.where(F.col("url").startswith(settings.url_prefix))
    newest = (
        pages.groupBy("url").agg(F.max_by(F.struct("body_hash"), "ds").alias("page")).select("url", "page.body_hash")
    )
    rows = stage.run.warehouse.arrow(PAGES, newest.where("body_hash IS NOT NULL")).to_pylist()
    return {row["url"]: row["body_hash"] for row in rows}
