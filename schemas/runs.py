"""Runs: what every stage of every run did, read and wrote, and what it cost."""

from datetime import UTC, date, datetime

import pyarrow as pa

from schemas.table import TIMESTAMP, Table, column, none_where

STATES = ("completed", "failed")

RUNS = Table(
    name="runs",
    comment="One stage of one run: rows, tokens, seconds, and the table versions it read and wrote.",
    columns=(
        column("run_id", pa.string(), "start time and four random digits"),
        column("stage", pa.string(), "name of the stage"),
        column("ds", pa.date32(), "logical date of the run"),
        column("state", pa.string(), "completed or failed"),
        column("position", pa.int32(), "order of the stage in its run, from 0"),
        column("rows_in", pa.int64(), "rows that were there to work on"),
        column("rows_out", pa.int64(), "rows written"),
        column("skipped", pa.int64(), "rows already done"),
        column("quarantined", pa.int64(), "rows rejected"),
        column("prompt_tokens", pa.int64(), "tokens that models read"),
        column("output_tokens", pa.int64(), "tokens that models wrote"),
        column("requests", pa.int64(), "times that a language model was asked, retries included", null=True),
        column("seconds", pa.float64(), "wall-clock seconds"),
        column("started_at", TIMESTAMP, "when the stage began"),
        column("versions_read", pa.map_(pa.string(), pa.int64()), "Delta version of each table at the stage's start"),
        column("versions_written", pa.map_(pa.string(), pa.int64()), "Delta version of each table it committed to"),
        column("detail", pa.string(), "error of a failed stage, or a remark", null=True),
    ),
    key=("run_id", "stage"),
    partitioned_by=("ds",),
    expectations=(none_where("state_known", f"state not in {STATES}", "state is one of the known ones"),),
    example={
        "run_id": "20261123T020000-3f9a",
        "stage": "features",
        "ds": date(2026, 11, 23),
        "state": "completed",
        "position": 3,
        "rows_in": 48,
        "rows_out": 47,
        "skipped": 0,
        "quarantined": 1,
        "prompt_tokens": 9600,
        "output_tokens": 1210,
        "requests": 53,
        "seconds": 14.2,
        "started_at": datetime(2026, 11, 23, 2, 2, 50, tzinfo=UTC),
        "versions_read": [("chunks", 3)],
        "versions_written": [("features", 2)],
    },
)
