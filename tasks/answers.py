"""Outcomes as Arrow rows: how they travel from another process or from Spark's executors."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from schemas.quarantine import Reason
from tasks.outcome import Outcome, Rejection

_REJECTION = tuple(pa.field(name, pa.string()) for name in ("source_key", "reason", "detail", "raw"))
_TOKENS = tuple(pa.field(name, pa.int64()) for name in ("prompt_tokens", "output_tokens"))


def answers_schema(rows: pa.Schema) -> pa.Schema:
    """Columns of answers whose outcomes have such rows.

    All may be null and none has a comment: Spark hands neither back.
    """
    plain = pa.struct([pa.field(field.name, field.type) for field in rows])
    return pa.schema([pa.field("rows", pa.list_(plain)), *_REJECTION, *_TOKENS])


def to_answer(outcome: Outcome) -> pa.RecordBatch:
    """An outcome with one rejection at most as one row: its result rows in a list, what was rejected, tokens."""
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
    tokens = (pa.array([count], pa.int64()) for count in (outcome.prompt_tokens, outcome.output_tokens))
    arrays = [listed, *(pa.array([text], pa.string()) for text in texts), *tokens]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


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
    prompt_tokens, output_tokens = (pc.sum(answers[field.name]).as_py() or 0 for field in _TOKENS)
    return Outcome(pa.Table.from_arrays(arrays, schema=rows), tuple(rejections), prompt_tokens, output_tokens)
