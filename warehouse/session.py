"""The Spark session: where tables are read and written is one setting."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from schemas.cache import cache_folder
from schemas.errors import SetupError
from warehouse import class_archive
from warehouse.engines import ENGINE
from warehouse.jars import jars, java

# Four times the JVM's own thresholds: a night that finds little to do ends before the second compiler, which
# competes with it for the same cores, has paid; a large one still gets it.
COMPILE_LATER = (
    "-XX:Tier4InvocationThreshold=20000",
    "-XX:Tier4MinInvocationThreshold=5000",
    "-XX:Tier4CompileThreshold=40000",
    "-XX:Tier4BackEdgeThreshold=160000",
)
CONNECT_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
# A server stops when nothing refers to it any more.
_sail_servers: list[object] = []
LOGGING = Path(__file__).with_name("log4j2.properties")
CHECKOUT = Path(__file__).resolve().parent.parent


def open_session(master: str = "", memory_gib: float = 2.0, java_options: Sequence[str] | None = None) -> SparkSession:
    """A session that reads and writes Delta tables.

    Args:
        master: empty for Spark in this process on all cores; `local[N]` or `spark://HOST:PORT` for a cluster;
            `sc://HOST:PORT` for a Spark Connect endpoint, whose server must have Delta itself; `sail` for Sail in
            this process, without Java.
        memory_gib: heap of the driver when Spark runs in this process.
        java_options: for the driver's JVM; left out, those that make it start fast.

    Raises:
        SetupError: no Java, no JARs, or nobody answers at the address.
    """
    try:
        if master == "sail":
            return _sail()
        if master.startswith("sc://"):
            return SparkSession.builder.remote(master).getOrCreate()
        settings = _configuration(memory_gib, class_archive.java_options() if java_options is None else java_options)
        return _classic(master or f"local[{os.cpu_count() or 1}]", settings)
    except SetupError:
        raise
    except Exception as error:  # the JVM and gRPC raise types of their own, all of them meaning: no session
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SetupError(
            f"Spark does not start: {cause}", where=master or "this process", remedy=f"See {spark_log()}"
        ) from error


def connect_server(port: int, memory_gib: float = 1.0) -> list[str]:
    """The command that runs a Spark Connect server with Delta on loopback, for `open_session("sc://127.0.0.1:PORT")`.

    Raises:
        SetupError: no Java, or no JARs.
    """
    java()
    settings = {
        **_configuration(memory_gib, ()),
        "spark.jars": ",".join(str(jar) for jar in jars()),
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
    }
    submit = [str(Path(sys.executable).with_name("spark-submit")), "--class", CONNECT_SERVER]
    options = [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]
    return [*submit, *options, "spark-internal"]


def _sail() -> SparkSession:
    """A session of a Sail server that lives on loopback as long as this process."""
    os.environ.setdefault("RUST_LOG", "error")  # it tells of every session and every ignored hint
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    _sail_servers.append(server)
    host, port = server.listening_address
    session = SparkSession.builder.remote(f"sc://{host}:{port}").getOrCreate()
    session.conf.set(ENGINE, "sail")
    session.conf.set("spark.sql.session.timeZone", "UTC")
    return session


def _classic(master: str, settings: Mapping[str, str]) -> SparkSession:
    java()
    # Workers must run this very interpreter.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    if master.startswith("local"):
        # The JVM must not look up the machine's name: on a laptop without a network that costs seconds and warns.
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        os.environ.setdefault("SPARK_LOCAL_HOSTNAME", "localhost")
    else:
        # Executors import what their work is made of from a checkout that stands where this one does.
        settings = {**settings, "spark.executorEnv.PYTHONPATH": str(CHECKOUT)}
    builder = SparkSession.builder.master(master).appName("nightjar")
    for key, value in {**settings, **_delta(master)}.items():
        builder = builder.config(key, value)
    with output_in(spark_log()):
        return builder.getOrCreate()


def spark_log() -> Path:
    """What the JVM of the latest session said."""
    return cache_folder() / "spark.log"


@contextmanager
def output_in(path: Path) -> Iterator[None]:
    """Point the process's standard output and error at a file for a while.

    A JVM started meanwhile keeps them: what Spark and Delta say there is nothing a user can act on, would stand
    between the lines of `--json`, and their errors come back as exceptions.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {stream: os.dup(stream) for stream in (1, 2)}
    try:
        with path.open("w") as log:
            for stream in saved:
                os.dup2(log.fileno(), stream)
            yield
    finally:
        for stream, copy in saved.items():
            os.dup2(copy, stream)
            os.close(copy)


def _delta(master: str) -> dict[str, str]:
    """How this kind of Spark gets Delta.

    In this process Delta is on the JVM's own class path, which a class archive covers. Planning again while a query
    runs pays on a cluster; here it costs a quarter of the time of a small query.
    """
    paths = [str(jar) for jar in jars()]
    if master.startswith("local"):
        return {"spark.driver.extraClassPath": os.pathsep.join(paths), "spark.sql.adaptive.enabled": "false"}
    return {"spark.jars": ",".join(paths)}


def _configuration(memory_gib: float, java_options: Sequence[str]) -> dict[str, str]:
    """Settings found by trying: small snapshots and few shuffle partitions make small commits five times faster."""
    options = [
        f"-Dlog4j2.configurationFile={LOGGING.as_uri()}",
        "-Duser.timezone=UTC",
        "-XX:+UseParallelGC",
        # A JVM that lacks memory loses threads and stands still; one that ends is told of.
        "-XX:+ExitOnOutOfMemoryError",
        "--enable-native-access=ALL-UNNAMED",
        *COMPILE_LATER,
        *java_options,
    ]
    return {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.shuffle.partitions": str(os.cpu_count() or 1),
        # Vacuum lists files in as many tasks as this, 10,000 unless told otherwise.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(os.cpu_count() or 1),
        # A night is some hundred small plans, and the next batch has the same ones: their compiled code is kept.
        "spark.sql.codegen.cache.maxEntries": "2000",
        # A batch is in memory, and 4096 pages, its default, are more than the heap.
        "spark.sql.parquet.columnarReaderBatchSize": "512",
        # Rows above this are not part of the plan, which holds them several times over and copies them with every rule.
        "spark.sql.execution.arrow.localRelationThreshold": "1m",
        # What comes here comes a partition at a time, whole and several times over: a few MiB of packed pages each.
        "spark.hadoop.parquet.block.size": str(16 << 20),
        "spark.sql.files.maxPartitionBytes": "16m",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "10000",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.driver.memory": f"{round(memory_gib * 1024)}m",
        "spark.driver.maxResultSize": "0",
        "spark.driver.extraJavaOptions": " ".join(options),
    }
