"""The SQL that makes and merges into a declared table, as text."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructField, StructType

from schemas.table import Table

GONE = "_gone"

# Serializable: a writer that read the keys of a table fails if another one added rows since, and tries again.
# Delta refuses to read a version older than its retention, whether or not its files are there; what is deleted is
# for maintenance to decide, which knows what indexes were built from.
PROPERTIES = {
    "delta.isolationLevel": "Serializable",
    "delta.deletedFileRetentionDuration": "interval 365 days",
    "delta.logRetentionDuration": "interval 365 days",
}
# What `changes` reads.
CHANGE_FEED = {"delta.enableChangeDataFeed": "true"}


def spark_schema(table: Table) -> StructType:
    return from_arrow_schema(table.schema)


def quoted(text: str) -> str:
    """A SQL string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def create_statement(table: Table, name: str, properties: Mapping[str, str], location: str = "") -> str:
    """CREATE TABLE for a declaration, with a comment on the table and on every column.

    Args:
        name: as SQL has it: ``delta.`PATH` ``, or a name in a catalog.
        location: where a table with a name in a catalog is stored.
    """
    declared = spark_schema(table)
    columns = ", ".join(
        described(table, declared[field.name], "" if field.nullable else "NOT NULL") for field in table.columns
    )
    partitions = f"PARTITIONED BY ({', '.join(table.partitioned_by)}) " if table.partitioned_by else ""
    stored = f"LOCATION {quoted(location)} " if location else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {name} ({columns}) USING DELTA "
        f"{partitions}{stored}COMMENT {quoted(table.comment)} TBLPROPERTIES ({property_list(properties)})"
    )


def property_list(properties: Mapping[str, str]) -> str:
    """Table properties between the parentheses of TBLPROPERTIES."""
    return ", ".join(f"{quoted(key)} = {quoted(value)}" for key, value in properties.items())


def add_columns_statement(table: Table, path: str, added: Iterable[StructField]) -> str:
    """ALTER TABLE that adds columns, which are null in the rows that are there."""
    return f"ALTER TABLE delta.`{path}` ADD COLUMNS ({', '.join(described(table, field) for field in added)})"


def described(table: Table, field: StructField, constraint: str = "") -> str:
    """A column's name, type, constraint and comment."""
    parts = (f"`{field.name}`", field.dataType.simpleString(), constraint)
    return f"{' '.join(filter(None, parts))} COMMENT {quoted(table.comment_on(field.name))}"


def merge_statement(table: Table, path: str, view: str, prune: str) -> str:
    """MERGE of a view that has the table's columns and a column saying which rows are gone.

    It touches only what differs: a row whose values are equal keeps its file and its `run_id`.
    """
    assigned = ", ".join(f"`{field.name}` = source.`{field.name}`" for field in table.columns)
    names = ", ".join(f"`{field.name}`" for field in table.columns)
    values = ", ".join(f"source.`{field.name}`" for field in table.columns)
    delete = "" if table.live else f"WHEN MATCHED AND source.{GONE} THEN DELETE "
    return (
        f"MERGE INTO delta.`{path}` AS target USING {view} AS source ON {_same_key(table)} AND {prune} {delete}"
        f"WHEN MATCHED AND ({_differs(table)}) THEN UPDATE SET {assigned} "
        f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"
    )


def merge_figures_statement(table: Table, path: str, view: str, prune: str) -> str:
    """What `merge_statement` is about to do, under the names that Delta gives it."""
    unmatched = f"target.`{table.key[0]}` IS NULL"
    deleted = "false" if table.live else f"source.{GONE}"
    return (
        f"SELECT count_if({unmatched}) AS num_inserted_rows, "
        f"count_if(NOT ({unmatched}) AND NOT ({deleted}) AND ({_differs(table)})) AS num_updated_rows, "
        f"count_if(NOT ({unmatched}) AND ({deleted})) AS num_deleted_rows "
        f"FROM {view} AS source LEFT JOIN delta.`{path}` AS target ON {_same_key(table)} AND {prune}"
    )


def _same_key(table: Table) -> str:
    return " AND ".join(f"target.`{name}` = source.`{name}`" for name in table.key)


def _differs(table: Table) -> str:
    """That a stored row has other values than the one that comes; who wrote it does not count."""
    compared = [field for field in table.columns if field.name not in {*table.key, "run_id"}]
    return " OR ".join(f"NOT ({_value('target', field)} <=> {_value('source', field)})" for field in compared)


def _value(side: str, field: "pa.Field[Any]") -> str:
    """A column of one side in a form that can be compared: maps cannot."""
    name = f"{side}.`{field.name}`"
    return f"map_entries({name})" if pa.types.is_map(field.type) else name
