"""WARC files out: stored pages as the archive records that other programs read."""

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any, BinaryIO

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

_HEADERS = {"content_type": "Content-Type", "etag": "ETag", "last_modified": "Last-Modified"}


def write_warc(file: BinaryIO, pages: Iterable[Mapping[str, Any]], compressed: bool) -> int:
    """Write pages as response records, one after the other. Returns how many there were.

    Args:
        file: open for writing.
        pages: rows of `pages` with url, fetched_at, content_type, body, etag, last_modified and robots_tag.
        compressed: with gzip, each record a member of its own, as the format has it.
    """
    writer = WARCWriter(file, gzip=compressed, warc_version="1.1")
    writer.write_record(writer.create_warcinfo_record("", {"software": "Nightjar", "format": "WARC File Format 1.1"}))
    written = 0
    for page in pages:
        record = writer.create_warc_record(
            page["url"],
            "response",
            payload=BytesIO(page["body"]),
            http_headers=_answer(page),
            warc_headers_dict={"WARC-Date": page["fetched_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")},
        )
        writer.write_record(record)
        written += 1
    return written


def _answer(page: Mapping[str, Any]) -> StatusAndHeaders:
    """The answer's status line and headers; bodies are stored without content encoding, and so is the archive's."""
    headers = [(name, " ".join(page[column].split())) for column, name in _HEADERS.items() if page[column]]
    headers += [("X-Robots-Tag", " ".join(line.split())) for line in (page["robots_tag"] or "").splitlines()]
    length = ("Content-Length", str(len(page["body"])))
    return StatusAndHeaders("200 OK", [*headers, length], protocol="HTTP/1.1")
