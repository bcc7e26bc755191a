"""The tables of a corpus: every write idempotent, every read pinnable."""

import random
import time
import uuid
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from schemas.errors import WarehouseError
from schemas.table import Table
from warehouse.definition import define
from warehouse.engines import engine_of
from warehouse.failures import is_conflict, translate
from warehouse.statements import GONE, quoted

T = TypeVar("T")

# Of four writers that do nothing but write, each loses three times of four: twelve tries were not enough for fifty
# commits of each. Tries are cheap beside what the rows of a batch have cost.
ATTEMPTS = 60
MOST_VALUES_IN_A_FILTER = 1000
# Each broadcast costs a tenth of a second, which so few keys do not cost as words of the query.
FEW_KEYS = 100
# A task carries its rows, and is copied while it is packed: one of 150 MB took all memory.
LARGEST_TASK_BYTES = 16 << 20


@dataclass(frozen=True)
class Merged:
    """Rows that a merge inserted, updated, and deleted or marked as gone."""

    inserted: int
    updated: int
    vanished: int


class Warehouse:
    """The Delta tables under one root.

    Args:
        spark: session that reads and writes them, in this process, on a cluster or over Spark Connect.
        root: local folder, absolute or below the current one, or any URI that Spark can write.
    """

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        # Sail knows no current folder.
        self.root = root.rstrip("/") if "://" in root else str(Path(root).absolute())
        self._engine = engine_of(spark)
        self._ready: set[str] = set()

    def path(self, table: Table) -> str:
        return table_path(self.root, table)

    def ensure(self, table: Table) -> str:
        """Create the table, or add the columns it lacks; once per session. Returns its path.

        Raises:
            SchemaError: the stored table cannot become the declared one.
            WarehouseError: it cannot be read or created.
        """
        path = self.path(table)
        if table.name not in self._ready:
            self._guarded(table, lambda: define(self._engine, table, path))
            self._ready.add(table.name)
        return path

    def read(self, table: Table, *, version: int | None = None, timestamp: datetime | None = None) -> DataFrame:
        """The table now, at a version, or as it stood at a time."""
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        if timestamp is not None:
            reader = reader.option("timestampAsOf", timestamp.isoformat())
        path = self.ensure(table)
        return self._guarded(table, lambda: reader.load(path))

    def arrow(self, table: Table, frame: DataFrame) -> pa.Table:
        """Collect a frame over `table`; an unreadable table is one clear line."""
        return self._guarded(table, frame.toArrow)

    def version(self, table: Table) -> int:
        """The table's latest Delta version."""
        path = self.ensure(table)
        return self._guarded(table, lambda: self._engine.version(path))

    def statement(self, table: Table, sql: str) -> list[Row]:
        """Run a statement about one table, whose place in it is `{table}`, and return its rows.

        Raises:
            WarehouseError: the engine does not have it, or it failed.
        """
        path = self.ensure(table)
        self._engine.need(sql.partition(" ")[0], path)
        return self._guarded(table, lambda: self.spark.sql(sql.format(table=f"delta.`{path}`")).collect())

    def append(self, table: Table, rows: pa.Table) -> int:
        """Write the rows whose key is not there yet. Returns how many were written.

        The check and the write are one transaction: of two writers with the same key one wins, and the other,
        tried again, finds the key there. So a batch committed before a crash is not committed twice.
        """
        checked = first_of_each_key(table, table.check(rows))
        if not len(checked):
            return 0
        return self._committed(table, lambda path: self._insert_new(table, checked, path))

    def add(self, table: Table, rows: pa.Table) -> None:
        """Write rows whose keys are new by construction, such as those of a run's own id: nothing is read first."""
        checked = table.check(rows)
        self._committed(table, lambda path: self.frame(checked).write.format("delta").mode("append").save(path))

    def merge(self, table: Table, rows: pa.Table, *, vanish: Mapping[str, Sequence[str]] | None = None) -> Merged:
        """Insert new keys, update rows that changed, and leave equal ones alone.

        Args:
            vanish: a column and its values; rows there whose key is not among `rows` are marked as gone
                (their live column becomes false), or deleted where the table has no live column.
        """
        checked = first_of_each_key(table, table.check(rows))
        vanish = {name: values for name, values in (vanish or {}).items() if values}
        if not len(checked) and not vanish:
            return Merged(0, 0, 0)
        return self._committed(table, lambda path: self._merge(table, checked, path, vanish))

    def replace(self, table: Table, rows: pa.Table, *, where: Mapping[str, object]) -> int:
        """Make `rows` all there is where the partition columns have the given values."""
        checked = first_of_each_key(table, table.check(rows))
        condition = " AND ".join(f"`{name}` = {quoted(str(value))}" for name, value in where.items())
        return self._committed(table, lambda path: self._overwrite(checked, path, condition))

    def pending(self, sources: DataFrame, results: DataFrame, key: Sequence[str]) -> DataFrame:
        """Sources without a result: the one way work left is found."""
        return sources.join(results.select(*key), list(key), "left_anti")

    def stream(self, frame: DataFrame, schema: pa.Schema, batch_rows: int) -> Iterator[pa.Table]:
        """Rows of a frame in batches of the given schema, in order, never all in memory at once.

        Raises:
            WarehouseError: Spark cannot read them, or has died.
        """
        rows = self._stored_rows(frame, schema)
        while some := list(islice(rows, batch_rows)):
            yield pa.Table.from_pylist(some, schema=schema)

    def _stored_rows(self, frame: DataFrame, schema: pa.Schema) -> Iterator[dict[str, object]]:
        try:
            for row in self._engine.rows(frame.select(*(_as_sent(field) for field in schema))):
                yield {name: _as_stored(value, schema, name) for name, value in row.asDict(recursive=True).items()}
        except Exception as error:  # Spark raises a class per cause and per engine
            raise translate(error, self.root) from error

    def collect(self, frame: DataFrame) -> pa.Table:
        """All rows of a frame that executors work out.

        Raises:
            WarehouseError: their work failed, with what the first of them said.
        """
        try:
            return frame.toArrow()
        except Exception as error:  # Spark raises a class per cause and per engine
            raise translate(error, self.root) from error

    def register(self, tables: Iterable[Table]) -> None:
        """Make the tables known to SQL by their plain names, for the life of the session."""
        for table in tables:
            self.read(table).createOrReplaceTempView(table.name)

    def frame(self, rows: pa.Table) -> DataFrame:
        """A Spark frame of Arrow rows."""
        # Every chunk becomes a task, and where it is written a file: rows put together of many outcomes have many.
        whole = rows.combine_chunks()
        if rows.nbytes > LARGEST_TASK_BYTES:
            length = max(1, len(rows) * LARGEST_TASK_BYTES // rows.nbytes)
            whole = pa.concat_tables([whole.slice(start, length) for start in range(0, len(rows), length)])
        return self.spark.createDataFrame(whole)

    def changes(self, table: Table, since_version: int, until_version: int | None = None) -> DataFrame:
        """What became of every key changed after a version: the row, and `change` (insert, update or delete).

        A deleted row stands with its last values. A key inserted and deleted since is left out.

        Args:
            until_version: the last version that counts; the latest one when left out.
        """
        path = self.ensure(table)
        self._engine.need("changes", path)
        until = self.version(table) if until_version is None else until_version
        if until <= since_version:
            return self.read(table).limit(0).withColumn("change", F.lit(""))
        feed = self._guarded(
            table,
            lambda: (
                self.spark.read.format("delta")
                .option("readChangeFeed", "true")
                .option("startingVersion", since_version + 1)
                .option("endingVersion", until)
                .load(path)
            ),
        )
        return _net(feed, table)

    def _insert_new(self, table: Table, rows: pa.Table, path: str) -> int:
        key = list(table.key)
        # Reading the keys inside the writing query makes Delta see the dependency: a concurrent commit is a
        # conflict and not a duplicate. Only the batch's own keys leave the scan, so its cost hardly grows.
        stored = self.spark.read.format("delta").load(path).where(partition_filter(table, rows)).select(*key)
        if len(rows) <= FEW_KEYS:
            known = stored.where(_is_one_of(f"`{key[0]}`", rows.column(key[0])))
        else:
            known = stored.join(F.broadcast(self.frame(rows.select(key))), key, "left_semi")
        new = self.frame(rows).join(F.broadcast(known), key, "left_anti").select(*rows.column_names)
        return self._engine.insert(new, path)

    def _merge(self, table: Table, rows: pa.Table, path: str, vanish: Mapping[str, Sequence[str]]) -> Merged:
        source = self.frame(rows).withColumn(GONE, F.lit(False))
        if vanish:
            source = source.unionByName(self._vanished(table, rows, path, vanish))
        view = f"merge_source_{uuid.uuid4().hex}"
        source.createOrReplaceTempView(view)
        try:
            figures = self._engine.merge(table, path, view, partition_filter(table, rows, "target"))
        finally:
            self.spark.catalog.dropTempView(view)
        deleted = int(figures["num_deleted_rows"])
        return Merged(int(figures["num_inserted_rows"]), int(figures["num_updated_rows"]), deleted)

    def _vanished(self, table: Table, rows: pa.Table, path: str, vanish: Mapping[str, Sequence[str]]) -> DataFrame:
        """Stored rows in the scope of `vanish` that are not among `rows`, marked as gone.

        They travel in the merge's source, so that the merge joins on keys alone: a NOT MATCHED BY SOURCE clause
        would read the whole table.
        """
        stored = self.spark.read.format("delta").load(path)
        for name, values in vanish.items():
            # As rows: in a filter each value would be an expression to plan.
            scope = self.frame(pa.table({name: pa.array(values, pa.string()).unique()}))
            stored = stored.join(F.broadcast(scope), name, "left_semi")
        if table.live:
            stored = stored.where(F.col(table.live)).withColumn(table.live, F.lit(False))
        mine = F.broadcast(self.frame(rows.select(list(table.key))))
        gone = stored.join(mine, list(table.key), "left_anti").withColumn(GONE, F.lit(True))
        return gone.select(*rows.column_names, GONE)

    def _overwrite(self, rows: pa.Table, path: str, condition: str) -> int:
        self.frame(rows).write.format("delta").mode("overwrite").option("replaceWhere", condition).save(path)
        return len(rows)

    def _committed(self, table: Table, write: Callable[[str], T]) -> T:
        """Run a write, again with backoff where another writer was faster."""
        path = self.ensure(table)
        self._guarded(table, lambda: self._engine.claim(self.root))
        for attempt in range(ATTEMPTS):
            try:
                return write(path)
            except Exception as error:  # Spark raises a class per cause and per engine
                if not is_conflict(error):
                    raise translate(error, path) from error
                time.sleep(random.uniform(0, min(0.1 * 2**attempt, 5)))
        raise WarehouseError(
            f"{ATTEMPTS} tries to write lost against other writers",
            where=path,
            left_behind="Nothing of this batch was committed",
            remedy="Run the same command again when fewer jobs write to this table",
        )

    def _guarded(self, table: Table, work: Callable[[], T]) -> T:
        try:
            return work()
        except Exception as error:  # Spark raises a class per cause and per engine
            raise translate(error, self.path(table)) from error


def _as_sent(field: "pa.Field[Any]") -> Column:
    """A column as it comes here fast: Spark packs bytes one at a time, a text as a whole."""
    column = F.col(field.name)
    return F.base64(column).alias(field.name) if pa.types.is_binary(field.type) else column


def _as_stored(value: object, schema: pa.Schema, name: str) -> object:
    """A value that came: bytes out of their text, a time with the zone that Spark leaves out, which is ours."""
    if isinstance(value, str) and pa.types.is_binary(schema.field(name).type):
        return b64decode(value)
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def table_path(root: str, table: Table) -> str:
    """Where a table is stored under a root."""
    return f"{root.rstrip('/')}/tables/{table.name}"


def first_of_each_key(table: Table, rows: pa.Table) -> pa.Table:
    """The rows without later ones of the same key, in their order."""
    keys = rows.select(list(table.key)).append_column("_row", pa.array(range(len(rows)), pa.int64()))
    first = keys.group_by(list(table.key), use_threads=False).aggregate([("_row", "min")])
    if len(first) == len(rows):
        return rows
    return rows.take(first.column("_row_min").sort())


def partition_filter(table: Table, rows: pa.Table, alias: str = "") -> str:
    """SQL that keeps the partitions the rows fall into, so that files of others are never opened."""
    prefix = f"{alias}." if alias else ""
    clauses = [_is_one_of(f"{prefix}`{name}`", rows.column(name)) for name in table.partitioned_by]
    return " AND ".join(clauses) or "true"


def _is_one_of(name: str, values: "pa.ChunkedArray[Any]") -> str:
    distinct = values.unique().to_pylist()
    if len(distinct) > MOST_VALUES_IN_A_FILTER:
        return "true"
    return f"{name} IN ({', '.join(quoted(str(value)) for value in distinct)})"


def _net(feed: DataFrame, table: Table) -> DataFrame:
    """One row per key out of a change feed that may hold several.

    In words of SQL: a call into the JVM for each part of each expression takes longer than a small feed.
    """
    row = ", ".join(f"`{field.name}`" for field in table.columns)
    # A commit can delete and insert one key (a replace): 'delete' sorts before 'insert', so the row wins.
    order = "struct(_commit_version, _change_type)"
    net = (
        feed.where("_change_type != 'update_preimage'")
        .groupBy(*table.key)
        .agg(
            F.expr(f"max_by(struct({row}), {order}) AS row"),
            F.expr(f"max({order}) AS last"),
            F.expr(f"min({order}) AS first"),
        )
    )
    change = """CASE WHEN last._change_type = 'delete' THEN 'delete'
                     WHEN first._change_type = 'insert' THEN 'insert' ELSE 'update' END AS change"""
    born_and_gone = "last._change_type = 'delete' AND first._change_type = 'insert'"
    return net.where(f"NOT ({born_and_gone})").selectExpr("row.*", change)
