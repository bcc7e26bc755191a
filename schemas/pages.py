"""Fetches: one row for every answer, or refusal, that a URL gave on a logical date."""

from datetime import UTC, date, datetime

import pyarrow as pa

from schemas.table import TIMESTAMP, Table, column, none_where

OUTCOMES = ("ok", "not_modified", "redirected", "gone", "failed", "refused", "sitemap", "sitemap_index")

PAGES = Table(
    name="pages",
    comment="One fetch of one URL on one logical date. The raw body is kept: everything after it can be recomputed.",
    columns=(
        column("url", pa.string(), "canonical URL"),
        column("ds", pa.date32(), "logical date of the run that fetched it"),
        column("fetched_at", TIMESTAMP, "when the answer came"),
        column("outcome", pa.string(), "ok, not_modified, redirected, gone, failed, refused, sitemap or sitemap_index"),
        column("status", pa.int32(), "HTTP status, 0 without an answer"),
        column("content_type", pa.string(), "Content-Type header", null=True),
        column("body", pa.binary(), "bytes without content encoding; null unless outcome is ok", null=True),
        column("body_hash", pa.string(), "hash of the body; a 304 repeats the hash it confirms", null=True),
        column("etag", pa.string(), "ETag header, sent back the next night", null=True),
        column("last_modified", pa.string(), "Last-Modified header, sent back the next night", null=True),
        column("robots_tag", pa.string(), "X-Robots-Tag headers, one a line; a 304 repeats them", null=True),
        column(
            "links",
            pa.list_(pa.string()),
            "links of the page, or its listing: canonical URLs the corpus allows",
            null=True,
        ),
        column("depth", pa.int32(), "links followed from a seed"),
        column("detail", pa.string(), "why it failed or was refused", null=True),
        column("source", pa.string(), "file or folder it was read from; null where it was fetched", null=True),
        column("run_id", pa.string(), "run that wrote the row"),
    ),
    key=("url", "ds"),
    partitioned_by=("ds",),
    expectations=(
        none_where("outcome_known", f"outcome not in {OUTCOMES}", "outcome is one of the known ones"),
        none_where("ok_has_body", "outcome = 'ok' and (body is null or body_hash is null)", "an ok page has its body"),
    ),
    example={
        "url": "http://pydoc.localhost/bisect.html",
        "ds": date(2026, 11, 23),
        "fetched_at": datetime(2026, 11, 23, 2, 0, 4, tzinfo=UTC),
        "outcome": "ok",
        "status": 200,
        "content_type": "text/html; charset=UTF-8",
        "body": b"<html><head><title>Python: module bisect</title></head></html>",
        "body_hash": "3a7bd3e2360a3d29eea436fcfb7e44c7",
        "links": ["http://pydoc.localhost/index.html"],
        "depth": 1,
        "run_id": "20261123T020000-3f9a",
    },
)
