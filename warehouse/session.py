"""The Spark session: where tables are read and written is one setting."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from schemas.cache import cache_folder
from schemas.errors import SetupError
from warehouse.jars import jars, java

LOGGING = Path(__file__).with_name("log4j2.properties")


def open_session(master: str = "", memory_gib: float = 2.0) -> SparkSession:
    """A session that reads and writes Delta tables.

    Args:
        master: empty for Spark in this process on all cores; `local[N]` or `spark://HOST:PORT` for a cluster;
            `sc://HOST:PORT` for a Spark Connect endpoint, whose server must have Delta itself.
        memory_gib: heap of the driver when Spark runs in this process.

    Raises:
        SetupError: no Java, no JARs, or nobody answers at the address.
    """
    try:
        if master.startswith("sc://"):
            return SparkSession.builder.remote(master).getOrCreate()
        return _classic(master or f"local[{os.cpu_count() or 1}]", memory_gib)
    except SetupError:
        raise
    except Exception as error:  # the JVM and gRPC raise types of their own, all of them meaning: no session
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SetupError(
            f"Spark does not start: {cause}", where=master or "this process", remedy=f"See {spark_log()}"
        ) from error


def _classic(master: str, memory_gib: float) -> SparkSession:
    java()
    # Workers must run this very interpreter, and the JVM must not look up the machine's name: on a laptop
    # without a network that costs seconds and warns.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("SPARK_LOCAL_HOSTNAME", "localhost")
    builder = SparkSession.builder.master(master).appName("nightjar")
    for key, value in _configuration(memory_gib).items():
        builder = builder.config(key, value)
    with _stderr_in(spark_log()):
        return builder.getOrCreate()


def spark_log() -> Path:
    """What the JVM of the latest session said."""
    return cache_folder() / "spark.log"


@contextmanager
def _stderr_in(path: Path) -> Iterator[None]:
    """Point the process's standard error at a file for a while.

    A JVM started meanwhile keeps it: what Spark says at its start is nothing a user can act on, and its errors
    come back as exceptions.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with path.open("w") as log:
            os.dup2(log.fileno(), 2)
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _configuration(memory_gib: float) -> dict[str, str]:
    """Settings found by trying: small snapshots and few shuffle partitions make small commits five times faster."""
    java_options = [
        f"-Dlog4j2.configurationFile={LOGGING.as_uri()}",
        "-Duser.timezone=UTC",
        "-XX:+UseParallelGC",
        "--enable-native-access=ALL-UNNAMED",
    ]
    return {
        "spark.jars": ",".join(str(jar) for jar in jars()),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.shuffle.partitions": str(os.cpu_count() or 1),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "10000",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.driver.memory": f"{round(memory_gib * 1024)}m",
        "spark.driver.maxResultSize": "0",
        "spark.driver.extraJavaOptions": " ".join(java_options),
    }
