"""Outcomes as Arrow rows, one a source: how they travel from another process or from Spark's executors."""

from typing import Any

import pyarrow as pa

from schemas.quarantine import Reason
from tasks.outcome import Outcome, Rejection

_REJECTION = tuple(pa.field(name, pa.string()) for name in ("source_key", "reason", "detail", "raw"))


def answers_schema(rows: pa.Schema) -> pa.Schema:
    """Columns of answers whose outcomes have such rows.

    All may be null and none has a comment: Spark hands neither back.
    """
    plain = pa.struct([pa.field(field.name, field.type) for field in rows])
    return pa.schema([pa.field("rows", pa.list_(plain)), *_REJECTION])


def to_answer(outcome: Outcome) -> pa.RecordBatch:
    """The outcome of one source as one row: its result rows in a list, and what rejected it, if anything did."""
    schema = answers_schema(outcome.rows.schema)
    rows = outcome.rows.cast(pa.schema(list(schema.field("rows").type.value_type))).combine_chunks()
    columns: list[Any] = [
        column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in rows.columns
    ]
    listed = pa.ListArray.from_arrays(
        pa.array([0, len(rows)], pa.int32()),
        pa.StructArray.from_arrays(columns, fields=list(rows.schema)),
    )
    rejected = outcome.rejections[0] if outcome.rejections else None
    texts = (rejected.source_key, rejected.reason.value, rejected.detail, rejected.raw) if rejected else (None,) * 4
    return pa.RecordBatch.from_arrays([listed, *(pa.array([text], pa.string()) for text in texts)], schema=schema)


def from_answers(answers: pa.Table, rows: pa.Schema) -> Outcome:
    """What `to_answer` made rows of, together.

    Args:
        rows: schema of the outcome's rows.
    """
    listed: Any = answers.column("rows").combine_chunks()
    structs = listed.flatten() if len(answers) else pa.array([], listed.type.value_type)
    arrays = [array.cast(field.type) for array, field in zip(structs.flatten(), rows, strict=True)]
    rejected = answers.select([field.name for field in _REJECTION]).filter(answers["reason"].is_valid())
    rejections = (
        Rejection(row["source_key"], Reason(row["reason"]), row["detail"], row["raw"]) for row in rejected.to_pylist()
    )
    return Outcome(pa.Table.from_arrays(arrays, schema=rows), tuple(rejections))
