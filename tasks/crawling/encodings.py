"""HTTP bodies as they travelled: of what type, chunked and compressed, unpacked with a bound on what comes out."""

from collections.abc import Callable
from io import BytesIO

from fastwarc.stream_io import BrotliReader, ChunkedReader, GzipReader, WarcReader, ZstdReader

HTML_TYPES = ("text/html", "application/xhtml+xml")
MAX_RATIO = 100
RATIO_FREE_BYTES = 1_000_000
MAX_ENCODINGS = 3

_GZIP_MAGIC = b"\x1f\x8b"
_READ_BYTES = 1 << 16


def may_be_html(content_type: str | None) -> bool:
    """Whether a Content-Type header says HTML, or there is none that says otherwise."""
    return not content_type or content_type.partition(";")[0].strip().lower() in HTML_TYPES


class UnpackingError(Exception):
    """A body that cannot be unpacked, or that unpacks to more than it may."""


def unpacked(body: bytes, transfer_encoding: str, content_encoding: str, most: int) -> bytes:
    """A body without its transfer and content encodings.

    A body that says gzip and is not is taken as it is: some archives unpack bodies and keep the header.

    Args:
        body: as it travelled.
        transfer_encoding: header of that name, empty where there is none.
        content_encoding: header of that name, empty where there is none.
        most: bytes that may come out.

    Raises:
        UnpackingError: it is broken, its encoding is unknown, or more than `most` bytes or `MAX_RATIO` times its
            size come out (up to `RATIO_FREE_BYTES` any ratio is good).
    """
    encodings = [*_named(content_encoding), *_named(transfer_encoding)]
    if len(encodings) > MAX_ENCODINGS:
        raise UnpackingError(f"is encoded {len(encodings)} times")
    bound = min(most, max(RATIO_FREE_BYTES, MAX_RATIO * len(body)))
    for encoding in reversed(encodings):
        body = _without(encoding, body, bound)
    if len(body) > bound:
        raise _too_much(bound, most)
    return body


def _named(header: str) -> list[str]:
    names = (name.strip().lower() for name in header.split(","))
    return [name for name in names if name not in ("", "identity")]


def _without(encoding: str, body: bytes, bound: int) -> bytes:
    if "gzip" in encoding and not body.startswith(_GZIP_MAGIC):
        return body
    parts: list[bytes] = []
    size = 0
    try:
        reader = _reader(encoding, body)
        while size <= bound and (part := reader.read(_READ_BYTES)):
            parts.append(part)
            size += len(part)
    except OSError as error:
        raise UnpackingError(f"cannot be unpacked as {encoding}: {error}") from error
    return b"".join(parts)


def _reader(encoding: str, body: bytes) -> WarcReader:
    stream = BytesIO(body)
    if encoding in ("gzip", "x-gzip"):
        return GzipReader(stream)
    if encoding == "deflate":
        return GzipReader(stream, zlib=True)
    readers: dict[str, Callable[[BytesIO], WarcReader]]
    readers = {"br": BrotliReader, "zstd": ZstdReader, "chunked": ChunkedReader}
    if encoding not in readers:
        raise UnpackingError(f"has the unknown encoding {encoding[:40]!r}")
    return readers[encoding](stream)


def _too_much(bound: int, most: int) -> UnpackingError:
    if bound == most:
        return UnpackingError(f"longer than {most} bytes")
    return UnpackingError(f"unpacks to more than {MAX_RATIO} times its size")
