"""The passages stage: passages that are given, such as a test collection's, become documents and chunks as they are."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from pyspark.sql import functions as F

from schemas.chunks import CHUNKS
from schemas.corpus import PassagesSettings
from schemas.documents import DOCUMENTS
from schemas.errors import CorpusError
from schemas.hashing import digest, text_hash
from schemas.passage import GIVEN, passage_text
from schemas.quarantine import Reason
from schemas.table import Table
from tasks.job import LARGEST_COMMIT_BYTES, quarantine_once
from tasks.outcome import Rejection
from tasks.retire import retire
from tasks.run import Stage

PASSAGES_PER_COMMIT = 2048
SHOWN_OF_A_LINE = 2000


@dataclass(frozen=True)
class Given:
    """One passage as its file has it.

    Attributes:
        url: prefix and percent-encoded id.
        title: empty where it has none.
    """

    url: str
    title: str
    text: str

    @property
    def doc_id(self) -> str:
        return digest(self.url)

    @property
    def body_hash(self) -> str:
        """Hash of all that its document and chunk are made of."""
        return digest(self.title, self.text)


def passage_url(settings: PassagesSettings, passage_id: str) -> str:
    """The URL that a given passage has in every table."""
    return settings.url_prefix + quote(passage_id, safe="")


def take_passages(stage: Stage, settings: PassagesSettings, count_tokens: Callable[[str], int]) -> None:
    """Bring `documents` and `chunks` up to the file: what is new, what changed, and what left it.

    Args:
        count_tokens: tokens of a text in the encoder's tokenizer. A passage that is longer than the encoder's window
            stays whole: the encoder reads its beginning.

    Raises:
        CorpusError: the file cannot be read, or has no passage.
    """
    rejections: list[Rejection] = []
    stored = _stored(stage)
    known: set[str] = set()
    changed = _changed(read_passages(settings, rejections), stored, known)
    for batch in _batches(changed):
        _commit(stage, batch, count_tokens)
    if not known:
        raise CorpusError(
            "no line is a passage", where=settings.path, remedy="Give one JSON object a line with _id, title and text"
        )
    stage.ledger.rows_in = len(known) + len(rejections)
    _retire(stage, stored.keys() - known)
    stage.ledger.skipped = max(0, stage.ledger.rows_in - stage.ledger.rows_out - len(rejections))
    quarantine_once(stage, GIVEN, rejections)


def read_passages(settings: PassagesSettings, rejections: list[Rejection]) -> Iterator[Given]:
    """Passages of the file in its order; a line that is none is added to the rejections.

    Raises:
        CorpusError: the file cannot be read.
    """
    seen: set[str] = set()
    for number, line in read_lines(settings.path):
        try:
            passage = _passage(settings, line)
            if passage.url in seen:
                raise ValueError("its _id stands in an earlier line")
        except ValueError as error:
            key = digest(settings.path, line)
            reason = Reason.EMPTY_TEXT if isinstance(error, NoText) else Reason.INVALID_ROW
            rejections.append(Rejection(key, reason, f"{settings.path}:{number}: {error}", line[:SHOWN_OF_A_LINE]))
            continue
        seen.add(passage.url)
        yield passage


def read_lines(path: str) -> Iterator[tuple[int, str]]:
    """Lines that hold something with their numbers, from 1. Only line feeds end a line, as in JSON lines.

    Raises:
        CorpusError: the file cannot be read.
    """
    try:
        with Path(path).open(encoding="utf-8", errors="replace", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.strip()
    except OSError as error:
        raise CorpusError(f"cannot be read: {error.strerror}", where=path, remedy="Correct the corpus file") from error


class NoText(ValueError):
    """A passage without title and text."""


def _passage(settings: PassagesSettings, line: str) -> Given:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    passage_id, title, text = (value.get(name) or "" for name in ("_id", "title", "text"))
    if not all(isinstance(part, str) for part in (passage_id, title, text)) or not passage_id:
        raise ValueError("_id, title and text must be strings, and _id not empty")
    title, text = title.strip(), text.strip()
    if not (title or text):
        raise NoText("neither title nor text")
    return Given(passage_url(settings, passage_id), title if text else "", text or title)


def _stored(stage: Stage) -> dict[str, str]:
    """doc_id to body_hash of given passages; empty where document and chunk are not both there and the same."""
    mine = F.col("live") & (F.col("extractor_id") == GIVEN)
    documents = stage.read(DOCUMENTS).where(mine).select("doc_id", F.col("body_hash").alias("of_document"))
    chunks = stage.read(CHUNKS).where(mine).select("doc_id", F.col("body_hash").alias("of_chunk"))
    agreed = F.when(F.col("of_document") == F.col("of_chunk"), F.col("of_chunk")).otherwise("")
    found = documents.join(chunks, "doc_id", "full").select("doc_id", agreed.alias("body_hash"))
    rows = stage.run.warehouse.arrow(DOCUMENTS, found).to_pylist()
    return {row["doc_id"]: row["body_hash"] for row in rows}


def _changed(passages: Iterable[Given], stored: dict[str, str], known: set[str]) -> Iterator[Given]:
    """Passages that are not stored as they are; the doc_id of every one is added to `known`."""
    for passage in passages:
        known.add(passage.doc_id)
        if stored.get(passage.doc_id) != passage.body_hash:
            yield passage


def _batches(passages: Iterable[Given]) -> Iterator[list[Given]]:
    batch: list[Given] = []
    size = 0
    for passage in passages:
        batch.append(passage)
        size += len(passage.text)
        if len(batch) == PASSAGES_PER_COMMIT or size >= LARGEST_COMMIT_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _commit(stage: Stage, batch: list[Given], count_tokens: Callable[[str], int]) -> None:
    documents = [_document(passage) for passage in batch]
    chunks = [_chunk(passage, count_tokens) for passage in batch]
    stage.merge(DOCUMENTS, _rows(DOCUMENTS, documents))
    stage.merge(CHUNKS, _rows(CHUNKS, chunks), vanish={"doc_id": [passage.doc_id for passage in batch]})
    stage.ledger.rows_out += len(batch)


def _rows(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows without the columns that the stage stamps."""
    return pa.Table.from_pylist(rows, schema=pa.schema([table.schema.field(name) for name in rows[0]]))


def _common(passage: Given) -> dict[str, Any]:
    return {
        "doc_id": passage.doc_id,
        "url": passage.url,
        "text": passage.text,
        "body_hash": passage.body_hash,
        "extractor_id": GIVEN,
        "directives": [],
        "withheld": False,
        "live": True,
    }


def _document(passage: Given) -> dict[str, Any]:
    return {**_common(passage), "title": passage.title or passage.url, "language": "und"}


def _chunk(passage: Given, count_tokens: Callable[[str], int]) -> dict[str, Any]:
    heading_path = [passage.title] if passage.title else []
    key = text_hash(heading_path, passage.text)
    return {
        **_common(passage),
        "chunk_id": digest(passage.doc_id, key, "0"),
        "ordinal": 0,
        "heading_path": heading_path,
        "text_hash": key,
        "kind": "text",
        "start": 0,
        "end": len(passage.text),
        "tokens": count_tokens(passage_text(heading_path, passage.text)),
        "chunker_id": GIVEN,
    }


def _retire(stage: Stage, vanished: set[str]) -> None:
    """Retire the documents and chunks of passages that left the file."""
    if not vanished:
        return
    gone = stage.run.warehouse.frame(pa.table({"doc_id": pa.array(sorted(vanished), pa.string())}))
    for table in (CHUNKS, DOCUMENTS):
        retire(stage, table, stage.read(table).join(F.broadcast(gone), "doc_id", "left_semi"))
