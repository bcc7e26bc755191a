"""Quarantine: every input or output that was not good enough, with the reason and the raw text."""

from datetime import UTC, date, datetime
from enum import StrEnum

import pyarrow as pa

from schemas.table import TIMESTAMP, Table, column, none_where


class Reason(StrEnum):
    """Why a row was rejected. Reasons are data: queries group by them."""

    NOT_HTML = "not_html"
    EMPTY_TEXT = "empty_text"
    NOINDEX = "noindex"
    EXTRACTION_FAILED = "extraction_failed"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    WORKER_DIED = "worker_died"
    CHUNKING_FAILED = "chunking_failed"
    NO_OUTPUT = "no_output"
    TRUNCATED = "truncated"
    REPETITIVE = "repetitive"
    COPIED_PROMPT = "copied_prompt"
    INVALID_OUTPUT = "invalid_output"
    TOO_LONG = "too_long"
    ENGINE_FAILED = "engine_failed"
    INVALID_ROW = "invalid_row"
    BROKEN_FILE = "broken_file"


REASONS = tuple(reason.value for reason in Reason)

QUARANTINE = Table(
    name="quarantine",
    comment="One rejected input or output. An open row keeps its source from being tried again each night.",
    columns=(
        column("quarantine_id", pa.string(), "hash of stage, source and recipe"),
        column("ds", pa.date32(), "logical date of the run that rejected it"),
        column("stage", pa.string(), "stage that rejected it"),
        column("reason", pa.string(), "one of the enumerated reasons"),
        column("source_key", pa.string(), "body_hash (and X-Robots-Tag), text_hash, question_id or file at work"),
        column("recipe_id", pa.string(), "recipe, extractor or encoder at work"),
        column("detail", pa.string(), "one line for a person"),
        column("raw", pa.string(), "the rejected text, cut at 10,000 characters", null=True),
        column("open", pa.bool_(), "false once it was fed back or its source came through"),
        column("created_at", TIMESTAMP, "when it was rejected"),
        column("run_id", pa.string(), "run that wrote the row"),
    ),
    key=("quarantine_id", "ds"),
    partitioned_by=("ds",),
    expectations=(none_where("reason_known", f"reason not in {REASONS}", "reason is one of the enumerated ones"),),
    example={
        "quarantine_id": "a87ff679a2f3e71d9181a67b7542122c",
        "ds": date(2026, 11, 23),
        "stage": "features",
        "reason": "invalid_output",
        "source_key": "2cf24dba5fb0a30e26e83b2ac5b9e29e",
        "recipe_id": "7c211433f02071597741e6ff5a8ea34b",
        "detail": "not JSON: unterminated string at character 96",
        "raw": '{"keywords": ["bisection", "sorted li',
        "open": True,
        "created_at": datetime(2026, 11, 23, 2, 3, 1, tzinfo=UTC),
        "run_id": "20261123T020000-3f9a",
    },
)
