"""What engines do differently with the same tables: Spark with Delta's own library, and Sail."""

import fcntl
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, TextIO

from pyspark.sql import DataFrame, Observation, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructField

from schemas.errors import WarehouseError
from schemas.table import Table
from warehouse.statements import (
    CHANGE_FEED,
    PROPERTIES,
    add_columns_statement,
    create_statement,
    merge_figures_statement,
    merge_statement,
)

ENGINE = "nightjar.engine"
"""Setting of a session that says which engine is behind it; Spark where it is not set."""


LACKING_IN_SAIL = MappingProxyType(
    {
        "OPTIMIZE": "compaction",
        "VACUUM": "vacuum",
        "RESTORE": "going back to a version",
        "DESCRIBE": "a table's history",
        "ALTER": "a way to add a column to a stored table",
        "changes": "a feed of changes",
    }
)


class Engine(ABC):
    """The statements about stored tables that are not the same everywhere.

    Args:
        spark: the session they go through.

    Attributes:
        sees_folders: the engine runs on this machine: a local path is the same folder for both.
    """

    sees_folders: ClassVar[bool] = True

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark

    @abstractmethod
    def create(self, table: Table, path: str) -> None:
        """Create a declared table."""

    @abstractmethod
    def add_columns(self, table: Table, path: str, added: Sequence[StructField]) -> None:
        """Add declared columns to a stored table; no file is written anew."""

    def version(self, path: str) -> int:
        """The latest version of a table."""
        listed = listed_version(path) if self.sees_folders else None
        return self.asked_version(path) if listed is None else listed

    @abstractmethod
    def asked_version(self, path: str) -> int:
        """The latest version of a table by a query, which works wherever the table is."""

    @abstractmethod
    def insert(self, rows: DataFrame, path: str) -> int:
        """Append rows and return how many they were."""

    @abstractmethod
    def merge(self, table: Table, path: str, view: str, prune: str) -> Mapping[str, int]:
        """Run `merge_statement`; returns `num_inserted_rows`, `num_updated_rows` and `num_deleted_rows`."""

    def rows(self, frame: DataFrame) -> Iterator[Row]:
        """A frame's rows in order, of which no more than a partition is in memory."""
        return frame.toLocalIterator()

    def claim(self, root: str) -> None:  # noqa: B027 - many writers are the rule
        """Become a writer of the tables under a root.

        Raises:
            WarehouseError: the engine allows one, and another process is it.
        """

    def need(self, ability: str, where: str) -> None:  # noqa: B027 - nothing is lacking
        """See to it that the engine can do something.

        Args:
            ability: first word of a statement; `changes` for the change feed.

        Raises:
            WarehouseError: it cannot.
        """


class DeltaSpark(Engine):
    """Spark with Delta's library, whose driver is this process."""

    def create(self, table: Table, path: str) -> None:
        self.spark.sql(create_statement(table, f"delta.`{path}`", {**PROPERTIES, **CHANGE_FEED}))

    def add_columns(self, table: Table, path: str, added: Sequence[StructField]) -> None:
        self.spark.sql(add_columns_statement(table, path, added))

    def asked_version(self, path: str) -> int:
        return int(self.spark.sql(f"DESCRIBE HISTORY delta.`{path}` LIMIT 1").select("version").collect()[0][0])

    def insert(self, rows: DataFrame, path: str) -> int:
        written = Observation()
        rows.observe(written, F.count(F.lit(1)).alias("rows")).write.format("delta").mode("append").save(path)
        return int(written.get["rows"])

    def merge(self, table: Table, path: str, view: str, prune: str) -> Mapping[str, int]:
        (figures,) = self.spark.sql(merge_statement(table, path, view, prune)).collect()
        return figures.asDict()

    def rows(self, frame: DataFrame) -> Iterator[Row]:
        # A job per partition: Spark 4.2 keeps the results of a query's jobs until the query ends, all of them.
        # Jobs that belong to no query it forgets one by one.
        return frame.rdd.toLocalIterator()


class DeltaSparkConnect(DeltaSpark):
    """The same behind a Spark Connect server, which may be another machine."""

    sees_folders = False

    def rows(self, frame: DataFrame) -> Iterator[Row]:
        return Engine.rows(self, frame)


class Sail(Engine):
    """Sail's embedded server: no Java, one writer, and no maintenance.

    With one writer a figure asked for just before a write is the figure of that write.
    """

    _claimed: ClassVar[dict[str, TextIO]] = {}

    def create(self, table: Table, path: str) -> None:
        # The catalog forgets with the session; only the place counts.
        name = f"{table.name}_{uuid.uuid4().hex}"
        self.spark.sql(create_statement(table, name, PROPERTIES, location=path))

    def add_columns(self, table: Table, path: str, added: Sequence[StructField]) -> None:  # noqa: ARG002
        # Its mergeSchema is taken without a word, and the new column's values are dropped.
        self.need("ALTER", path)

    def asked_version(self, path: str) -> int:
        logs = self.spark.read.format("binaryFile").load(f"{path}/_delta_log/*.json").select("path")
        return max(int(Path(row["path"]).stem) for row in logs.collect())

    def insert(self, rows: DataFrame, path: str) -> int:
        count = rows.count()
        if count:
            rows.write.format("delta").mode("append").save(path)
        return count

    def merge(self, table: Table, path: str, view: str, prune: str) -> Mapping[str, int]:
        (figures,) = self.spark.sql(merge_figures_statement(table, path, view, prune)).collect()
        if any(figures):
            self.spark.sql(merge_statement(table, path, view, prune)).collect()
        return figures.asDict()

    def claim(self, root: str) -> None:
        """Hold a local root until this process ends. Nobody watches over a root in object storage."""
        if "://" in root or root in self._claimed:
            return
        Path(root).mkdir(parents=True, exist_ok=True)
        lock = (Path(root) / "one-writer.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise WarehouseError(
                "another process writes to these tables, and with Sail there is one writer",
                where=root,
                left_behind="Nothing was written",
                remedy='Wait until it has ended, or use Spark: leave out `spark = "sail"` in the corpus file',
            ) from error
        self._claimed[root] = lock

    def need(self, ability: str, where: str) -> None:
        if ability in LACKING_IN_SAIL:
            raise WarehouseError(
                f"Sail does not have {LACKING_IN_SAIL[ability]}",
                where=where,
                left_behind="Nothing was changed",
                remedy='Use Spark for it, on the same tables: leave out `spark = "sail"` in the corpus file',
            )


def engine_of(spark: SparkSession) -> Engine:
    """The engine behind a session."""
    if spark.conf.get(ENGINE, "") == "sail":
        return Sail(spark)
    # By name: importing the class costs a second.
    remote = type(spark).__module__.startswith("pyspark.sql.connect")
    return DeltaSparkConnect(spark) if remote else DeltaSpark(spark)


def listed_version(path: str) -> int | None:
    """The latest version of a table in a folder of this machine; None where it is none, or elsewhere.

    A listing, where the same question to the engine costs half a second, and a night asks it for every table.
    """
    if "://" in path:
        return None
    commits = (commit.stem for commit in Path(path, "_delta_log").glob("*.json"))
    return max((int(stem) for stem in commits if stem.isdecimal()), default=None)
