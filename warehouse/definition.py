"""Creating a declared table, and bringing a stored one up to its declaration."""

import re

from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from schemas.errors import SchemaError
from schemas.table import Table

NO_TABLE = re.compile(
    r"PATH_NOT_FOUND|DELTA_TABLE_NOT_FOUND|DELTA_MISSING_DELTA_TABLE|is not a Delta table|No commit files found", re.I
)

# Serializable: a writer that read the keys of a table fails if another one added rows since, and tries again.
# The change feed is what `changes` reads. Delta refuses to read a version older than its retention, whether or not
# its files are there; what is deleted is for maintenance to decide, which knows what indexes were built from.
PROPERTIES = {
    "delta.isolationLevel": "Serializable",
    "delta.enableChangeDataFeed": "true",
    "delta.deletedFileRetentionDuration": "interval 365 days",
    "delta.logRetentionDuration": "interval 365 days",
}


def create_statement(table: Table, path: str) -> str:
    """CREATE TABLE for a declaration, with a comment on the table and on every column."""
    declared = spark_schema(table)
    columns = ", ".join(
        f"`{field.name}` {declared[field.name].dataType.simpleString()}"
        f"{'' if field.nullable else ' NOT NULL'} COMMENT {quoted(table.comment_on(field.name))}"
        for field in table.columns
    )
    partitions = f"PARTITIONED BY ({', '.join(table.partitioned_by)}) " if table.partitioned_by else ""
    properties = ", ".join(f"{quoted(key)} = {quoted(value)}" for key, value in PROPERTIES.items())
    return (
        f"CREATE TABLE IF NOT EXISTS delta.`{path}` ({columns}) USING DELTA "
        f"{partitions}COMMENT {quoted(table.comment)} TBLPROPERTIES ({properties})"
    )


def define(spark: SparkSession, table: Table, path: str) -> None:
    """Create the table, or bring the stored one up to its declaration.

    Raises:
        SchemaError: the stored table has a column that is not declared, or one of another type.
    """
    try:
        stored = spark.read.format("delta").load(path).schema
    except Exception as error:  # an AnalysisException of classic Spark or of Spark Connect
        if not NO_TABLE.search(str(error)):
            raise
        spark.sql(create_statement(table, path))
    else:
        _evolve(spark, table, path, stored)


def _evolve(spark: SparkSession, table: Table, path: str, stored: StructType) -> None:
    """Add the columns that the declaration has and the stored table lacks, without rewriting a file."""
    declared = spark_schema(table)
    _refuse_unknown(table, stored, declared, path)
    _refuse_retyped(table, stored, declared, path)
    added = [field for field in declared.fields if field.name not in stored.names]
    if added:
        columns = ", ".join(
            f"`{field.name}` {field.dataType.simpleString()} COMMENT {quoted(table.comment_on(field.name))}"
            for field in added
        )
        spark.sql(f"ALTER TABLE delta.`{path}` ADD COLUMNS ({columns})")


def spark_schema(table: Table) -> StructType:
    return from_arrow_schema(table.schema)


def quoted(text: str) -> str:
    """A SQL string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


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
