"""The JVM's archive of loaded classes, which halves the time that Spark takes to start.

`python -m warehouse.class_archive` runs one small job over Delta tables and lets the JVM keep the classes that it
loaded (application class-data sharing). An archive belongs to one installation of Spark and one Java: a JVM that
does not recognise it starts without it.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from schemas.errors import NightjarError
from warehouse.jars import spark_jars

QUIET = ("-Xlog:disable", "-Xlog:all=error:stderr")


def class_archive() -> Path:
    """Beside the Spark it belongs to, in this Python environment."""
    return Path(sys.prefix) / "share" / "nightjar" / "spark.jsa"


def java_options() -> tuple[str, ...]:
    """What a JVM needs to be told to use the archive; nothing where there is none."""
    archive = class_archive()
    return (f"-XX:SharedArchiveFile={archive}", *QUIET) if archive.is_file() else ()


def make() -> Path:
    """Make the archive, once for each installed Spark. Interrupted, it leaves nothing behind.

    Raises:
        SetupError: Spark does not start.
    """
    archive = class_archive()
    if not _is_current(archive):
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
            made = Path(scratch) / archive.name
            _train(made, scratch)
            if made.is_file():  # a Java that cannot archive classes works as well, only slower
                made.rename(archive)
    return archive


def _is_current(archive: Path) -> bool:
    """Whether the archive was made after Spark was installed: a JVM takes no notice of an older one."""
    return archive.is_file() and archive.stat().st_mtime > spark_jars().stat().st_mtime


def _train(archive: Path, scratch: str) -> None:
    """Do once what a night does to its tables, in a JVM that archives its classes when it ends."""
    from pyspark import SparkContext

    from schemas.chunks import CHUNKS
    from schemas.runs import RUNS
    from warehouse.session import open_session
    from warehouse.tables import Warehouse

    spark = open_session(java_options=(f"-XX:ArchiveClassesAtExit={archive}", *QUIET))
    warehouse = Warehouse(spark, scratch)
    for table in (CHUNKS, RUNS):
        rows = table.rows([dict(table.example)])
        warehouse.append(table, rows)
        warehouse.merge(table, rows, vanish={"run_id": ["none"]})
        frame = warehouse.read(table, version=warehouse.version(table))
        warehouse.pending(frame, frame.limit(0), table.key).groupBy("run_id").count().toArrow()
        list(warehouse.stream(frame, table.schema, batch_rows=1))
    gateway: Any = SparkContext._gateway
    spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()  # the archive is written while the JVM ends


if __name__ == "__main__":
    try:
        print(f"Spark's classes: {make()}")
    except NightjarError as error:
        sys.exit(str(error))
