"""Retiring: rows whose source is gone stay queryable, no longer live."""

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.table import Table
from tasks.run import Stage


def retire(stage: Stage, table: Table, frame: DataFrame) -> int:
    """Mark the live rows among `frame` as gone. Returns how many there were: none in a run over a part of the work."""
    if not table.live or stage.run.selection.narrows:
        return 0
    rows = stage.run.warehouse.arrow(table, frame.where(F.col(table.live)).select(*table.schema.names))
    if not len(rows):
        return 0
    merged = stage.merge(table, with_false(rows, table.live))
    stage.ledger.rows_out += merged.updated
    return merged.updated


def with_false(rows: pa.Table, name: str) -> pa.Table:
    """The rows with a boolean column that is false."""
    return rows.set_column(rows.column_names.index(name), rows.schema.field(name), pa.array([False] * len(rows)))
