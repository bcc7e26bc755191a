"""Retiring: rows whose source is gone stay queryable, no longer live."""

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.table import Table
from tasks.run import Stage


def retire(stage: Stage, table: Table, frame: DataFrame) -> int:
    """Mark the live rows among `frame` as gone. Returns how many there were."""
    if not table.live:
        return 0
    rows = stage.run.warehouse.arrow(table, frame.where(F.col(table.live)).select(*table.schema.names))
    if not len(rows):
        return 0
    position = rows.column_names.index(table.live)
    dead = rows.set_column(position, table.live, pa.array([False] * len(rows)))
    merged = stage.merge(table, dead)
    stage.ledger.rows_out += merged.updated
    return merged.updated
