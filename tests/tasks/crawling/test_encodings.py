import gzip
import zlib

import brotli
import pytest
import zstandard

from tasks.crawling.encodings import MAX_RATIO, RATIO_FREE_BYTES, UnpackingError, unpacked

PAGE = b"<p>a page of some length</p>" * 40
MOST = 8_000_000


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", PAGE),
        ("identity", PAGE),
        ("gzip", gzip.compress(PAGE, mtime=0)),
        ("X-GZIP", gzip.compress(PAGE, mtime=0)),
        ("deflate", zlib.compress(PAGE)),
        ("br", brotli.compress(PAGE)),
        ("zstd", zstandard.compress(PAGE)),
        ("deflate, gzip", gzip.compress(zlib.compress(PAGE), mtime=0)),
        ("gzip", PAGE),  # unpacked by whoever archived it, and the header kept
    ],
)
def test_a_body_is_unpacked(encoding: str, body: bytes) -> None:
    assert unpacked(body, "", encoding, MOST) == PAGE


def test_chunks_are_joined_before_the_rest() -> None:
    packed = gzip.compress(PAGE, mtime=0)
    chunked = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (10, packed[:10], len(packed) - 10, packed[10:])
    assert unpacked(chunked, "chunked", "gzip", MOST) == PAGE


def test_what_unpacks_to_too_much_is_refused() -> None:
    bomb = gzip.compress(bytes(2 * RATIO_FREE_BYTES))
    with pytest.raises(UnpackingError, match=f"more than {MAX_RATIO} times its size"):
        unpacked(bomb, "", "gzip", MOST)
    with pytest.raises(UnpackingError, match="longer than 1000 bytes"):
        unpacked(gzip.compress(PAGE, mtime=0), "", "gzip", 1000)
    assert len(unpacked(gzip.compress(bytes(RATIO_FREE_BYTES)), "", "gzip", MOST)) == RATIO_FREE_BYTES


@pytest.mark.parametrize(
    ("transfer", "encoding", "body", "message"),
    [
        ("chunked", "", b"zz\r\nhello", "cannot be unpacked as chunked"),
        ("", "br", b"no brotli at all", "cannot be unpacked as br"),
        ("", "compress", b"x", "unknown encoding 'compress'"),
        ("chunked", "gzip,gzip,gzip", b"x", "is encoded 4 times"),
    ],
)
def test_what_cannot_be_unpacked_says_why(transfer: str, encoding: str, body: bytes, message: str) -> None:
    with pytest.raises(UnpackingError, match=message):
        unpacked(body, transfer, encoding, MOST)
