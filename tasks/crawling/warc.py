"""WARC files in: a row of `pages` for every HTML page that a web archive holds."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from glob import glob
from pathlib import Path
from typing import Any, BinaryIO

from fastwarc.stream_io import GzipReader
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from schemas.corpus import WarcSettings
from schemas.errors import CorpusError
from schemas.hashing import digest
from tasks.crawling.captures import Captures
from tasks.crawling.directives import LONGEST
from tasks.crawling.encodings import UnpackingError, may_be_html, unpacked
from tasks.crawling.urls import Patterns, canonical_url

Row = dict[str, Any]

# A record without a date that can be believed is older than any other.
UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
LENGTH = "Content-Length"
GZIP_MAGIC = b"\x1f\x8b"


class BrokenArchive(Exception):
    """A file that is no WARC from some place on, or ends inside a record."""


def warc_files(patterns: tuple[str, ...]) -> list[Path]:
    """The files that paths and globs name, each once, in the order of their names.

    Raises:
        CorpusError: one of them names no file.
    """
    found: set[str] = set()
    for pattern in patterns:
        # Not Path.glob, which takes no absolute pattern.
        files = [name for name in glob(pattern, recursive=True) if Path(name).is_file()]  # noqa: PTH207
        if not files:
            raise CorpusError(
                "there is no such WARC file", where=pattern, remedy="Put it there, or correct warc.files in the corpus"
            )
        found.update(files)
    return [Path(name) for name in sorted(found)]


def read_warc(path: Path, settings: WarcSettings, captures: Captures) -> Iterator[Row]:
    """Rows of `pages`, without ds and run_id, for what a file says that is not known yet.

    Only answers with status 200 that are HTML, or do not say what they are, give rows; the patterns of the
    settings decide which of them. Memory holds one body at a time. A record whose body is cut short or cannot
    be unpacked gives a row that says so.

    Args:
        captures: what is known; told of every row.

    Raises:
        BrokenArchive: the rest of the file cannot be read; the rows before are good.
        CorpusError: the file cannot be opened.
    """
    patterns = Patterns(settings.allow, settings.deny)
    for record in _records(path):
        url = canonical_url((record.headers.get("WARC-Target-URI") or "").strip("<>"))
        fetched_at = _date(record)
        if url is None or not patterns.admit(url) or not captures.may_be_new(url, fetched_at):
            continue
        row = _row(record, settings.max_body_bytes)
        if row is None:
            continue
        complete = {"url": url, "fetched_at": fetched_at, "depth": 0, "source": str(path), "body_hash": None} | row
        if captures.take(complete):
            yield complete


def _records(path: Path) -> Iterator[WarcRecord]:
    """HTTP answers, their headers not parsed yet."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise CorpusError(
            f"cannot be opened: {error.strerror}", where=str(path), remedy="Correct warc.files in the corpus"
        ) from error
    with stream:
        try:
            yield from _answers(stream)
        except OSError as error:
            raise BrokenArchive(str(error)) from error


def _answers(stream: BinaryIO) -> Iterator[WarcRecord]:
    """HTTP answers up to the end of the file; an error where that is no record's end."""
    is_gzip = stream.read(2) == GZIP_MAGIC
    stream.seek(0)
    source = GzipReader(stream) if is_gzip else stream
    cut, position = None, -1
    # A record whose header is cut has lost its type, too.
    for record in ArchiveIterator(source, record_types=WarcRecordType.any_type, parse_http=False):
        position = record.stream_pos
        if record.record_type == WarcRecordType.response and record.is_http and record.headers.get(LENGTH):
            yield record
        cut = f"ends inside {_name(record)}" if _is_cut(record) else None
    if cut is None and isinstance(source, GzipReader) and (source.frame_start_position() or 0) > position:
        cut = "ends where a record begins"
    if cut:
        raise BrokenArchive(cut)


def _is_cut(record: WarcRecord) -> bool:
    """Whether a record lacks its length, which it must have, or content of that length. Reads it to its end."""
    record.consume()
    return not record.headers.get(LENGTH) or record.reader.tell() < record.content_length


def _name(record: WarcRecord) -> str:
    url = record.headers.get("WARC-Target-URI")
    return f"the record of {url[:300]}" if url else "a record"


def _date(record: WarcRecord) -> datetime:
    date = record.record_date
    return date if date is not None and UNDATED < date <= datetime.now(UTC) else UNDATED


def _row(record: WarcRecord, most: int) -> Row | None:
    """What an answer says, or None where it is no page."""
    try:
        record.parse_http()
    except (OSError, ValueError) as error:
        return {"outcome": "failed", "status": 0, "detail": f"no HTTP answer: {error}"[:300]}
    headers = record.http_headers
    if record.content_length and (headers is None or not headers.status_line):
        return None  # the file ends here, maybe inside the URL
    if headers is None or headers.status_code is None:
        return {"outcome": "failed", "status": 0, "detail": "no HTTP answer, or one that is cut short"}
    content_type = headers.get("Content-Type")
    if headers.status_code != 200 or not may_be_html(content_type):
        return None
    answer = {"status": 200, "content_type": content_type}
    answer |= {"etag": headers.get("ETag"), "last_modified": headers.get("Last-Modified")}
    answer |= {"robots_tag": _robots_tag(headers)}
    return answer | _page(record, most)


def _robots_tag(headers: Iterable[tuple[str, str]]) -> str | None:
    """X-Robots-Tag headers, one a line."""
    return "\n".join(value for name, value in headers if name.lower() == "x-robots-tag")[:LONGEST] or None


def _page(record: WarcRecord, most: int) -> Row:
    """Outcome, detail, and body where there is one."""
    headers = record.http_headers
    truncated = record.headers.get("WARC-Truncated")
    if truncated:
        return {"outcome": "refused", "detail": f"cut short by whoever archived it ({truncated[:40]})"}
    declared = record.content_length
    if declared > most:
        return {"outcome": "refused", "detail": f"longer than {most} bytes"}
    try:
        body = _read(record, declared)
        transfer, content = (headers.get(f"{kind}-Encoding") or "" for kind in ("Transfer", "Content"))
        body = unpacked(body, transfer, content, most)
    except UnpackingError as error:
        return {"outcome": "refused", "detail": str(error)}
    except OSError as error:
        return {"outcome": "failed", "detail": f"the record is broken: {error}"[:300]}
    return {"outcome": "ok", "body": body, "body_hash": digest(body)}


def _read(record: WarcRecord, declared: int) -> bytes:
    parts: list[bytes] = []
    while part := record.reader.read(1 << 20):
        parts.append(part)
    body = b"".join(parts)
    if len(body) < declared:
        raise OSError(f"ends after {len(body)} of {declared} bytes")
    return body
