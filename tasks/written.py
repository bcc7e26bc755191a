"""What was written, as Arrow: rows of the tables it belongs in, and the form it comes in from Spark's executors."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from schemas.catalog import table_named
from schemas.quarantine import Reason
from tasks.generate import Sample, Written
from tasks.outcome import Rejection
from tasks.recipes import Recipe

STAMPED = ("created_at", "run_id")
SOURCE_KEYS = {"features": "text_hash", "synthetic_queries": "text_hash", "contexts": "question_id"}

_SAMPLE = pa.struct(
    [
        pa.field("number", pa.int32()),
        pa.field("text", pa.string()),
        pa.field("items", pa.list_(pa.string())),
        pa.field("prompt_tokens", pa.int64()),
        pa.field("output_tokens", pa.int64()),
    ]
)
_REJECTION = pa.struct([pa.field(name, pa.string()) for name in ("source_key", "reason", "detail", "raw")])
WRITTEN = pa.schema(
    [
        pa.field("recipe", pa.string()),
        pa.field("source_key", pa.string()),
        pa.field("samples", pa.list_(_SAMPLE)),
        pa.field("rejection", _REJECTION),
        pa.field("prompt_tokens", pa.int64()),
        pa.field("output_tokens", pa.int64()),
        pa.field("requests", pa.int64()),
    ]
)
"""Columns of what comes from an executor, one row for each source and recipe."""


def rows_of(recipe: Recipe, recipe_id: str, model_id: str, written: Iterable[Written]) -> pa.Table:
    """Rows of the recipe's table, without `created_at` and `run_id`."""
    columns = [field for field in table_named(recipe.table).schema if field.name not in STAMPED]
    rows = [
        {
            SOURCE_KEYS[recipe.table]: each.source_key,
            "recipe_id": recipe_id,
            "model_id": model_id,
            "prompt_tokens": sample.prompt_tokens,
            "output_tokens": sample.output_tokens,
            **_value(recipe, sample),
        }
        for each in written
        for sample in each.samples
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema(columns))


def to_batch(written: Sequence[Written]) -> pa.RecordBatch:
    """What was written, as it travels."""
    return pa.RecordBatch.from_pylist([asdict(each) for each in written], schema=WRITTEN)


def from_batch(rows: pa.Table) -> list[Written]:
    """What `to_batch` made rows of."""
    return [_written(row) for row in rows.to_pylist()]


def _value(recipe: Recipe, sample: Sample) -> dict[str, Any]:
    if recipe.table == "features":
        return {"feature": recipe.name, "text": sample.text, "items": sample.items}
    if recipe.table == "synthetic_queries":
        return {"sample": sample.number, "query": sample.text}
    return {"sample": sample.number, "context": sample.text}


def _written(row: dict[str, Any]) -> Written:
    rejected = row["rejection"]
    samples = [
        Sample(**each | {"items": None if each["items"] is None else tuple(each["items"])}) for each in row["samples"]
    ]
    rejection = Rejection(**rejected | {"reason": Reason(rejected["reason"])}) if rejected else None
    return Written(**row | {"samples": tuple(samples), "rejection": rejection})
