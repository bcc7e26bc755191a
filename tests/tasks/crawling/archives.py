"""WARC files as other programs write them."""

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import NamedTuple

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

DATE = "2024-05-06T07:08:09Z"


class Answer(NamedTuple):
    """One response record; an empty value of `archived` leaves the header out."""

    url: str
    body: bytes = b"<p>text</p>"
    headers: Mapping[str, str] = {"Content-Type": "text/html"}
    status: str = "200 OK"
    archived: Mapping[str, str] = {"WARC-Date": DATE}


def warc(answers: Iterable[Answer], gzip: bool = True) -> bytes:
    """A WARC file of the answers, after a warcinfo record and with a request before each, as crawlers do."""
    file = BytesIO()
    writer = WARCWriter(file, gzip=gzip)
    writer.write_record(writer.create_warcinfo_record("test.warc.gz", {"software": "a test"}))
    for url, body, headers, status, archived in answers:
        asked = StatusAndHeaders("GET / HTTP/1.1", [], is_http_request=True)
        writer.write_record(writer.create_warc_record(url, "request", http_headers=asked))
        answered = StatusAndHeaders(status, list(headers.items()), protocol="HTTP/1.1")
        record = writer.create_warc_record(
            url, "response", payload=BytesIO(body), http_headers=answered, warc_headers_dict=dict(archived)
        )
        writer.write_record(record)
    return file.getvalue()
