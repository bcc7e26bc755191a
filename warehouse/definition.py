"""Creating a declared table, and bringing a stored one up to its declaration."""

import re

from pyspark.sql.types import StructType

from schemas.errors import SchemaError
from schemas.table import Table
from warehouse.engines import Engine
from warehouse.statements import spark_schema

NO_TABLE = re.compile(
    r"PATH_NOT_FOUND|DELTA_TABLE_NOT_FOUND|DELTA_MISSING_DELTA_TABLE|is not a Delta table|No commit files found", re.I
)


def define(engine: Engine, table: Table, path: str) -> None:
    """Create the table, or bring the stored one up to its declaration.

    Raises:
        SchemaError: the stored table has a column that is not declared, or one of another type.
    """
    try:
        stored = engine.spark.read.format("delta").load(path).schema
    except Exception as error:  # an AnalysisException of classic Spark or of Spark Connect
        if not NO_TABLE.search(str(error)):
            raise
        engine.create(table, path)
    else:
        _evolve(engine, table, path, stored)


def _evolve(engine: Engine, table: Table, path: str, stored: StructType) -> None:
    """Add the columns that the declaration has and the stored table lacks, without rewriting a file."""
    declared = spark_schema(table)
    _refuse_unknown(table, stored, declared, path)
    _refuse_retyped(table, stored, declared, path)
    added = [field for field in declared.fields if field.name not in stored.names]
    if added:
        engine.add_columns(table, path, added)


def _refuse_unknown(table: Table, stored: StructType, declared: StructType, path: str) -> None:
    unknown = [name for name in stored.names if name not in declared.names]
    if unknown:
        raise SchemaError(
            f"stored table {table.name!r} has columns that this version does not know: {', '.join(unknown)}",
            where=path,
            remedy="A newer Nightjar wrote it: update this checkout. Columns are added, never removed",
        )


def _refuse_retyped(table: Table, stored: StructType, declared: StructType, path: str) -> None:
    for name in stored.names:
        was, now = stored[name].dataType, declared[name].dataType
        # simpleString leaves out the nullability of nested parts, which engines record differently.
        if was.simpleString() != now.simpleString():
            raise SchemaError(
                f"column {name!r} of {table.name!r} is stored as {was.simpleString()} and declared as "
                f"{now.simpleString()}",
                where=path,
                remedy="A column keeps its type: declare a new column instead",
            )
