"""Our writes and reads against the plain Spark calls and against the deltalake package, on the same data.

    python -m bench.warehouse [--vectors N] [--stored N] [--merged N] [--rounds N] [--json]

Every round runs each way once, in turn, on a table of its own; the best of the rounds counts. The plain Spark
append checks nothing: what ours adds to it is that no key is written twice, whoever writes at the same time.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import typer
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bench.report import Measured, print_measured
from schemas.chunks import CHUNKS, KINDS
from schemas.embeddings import EMBEDDINGS
from schemas.questions import QUESTIONS
from warehouse.gates import judge, measure
from warehouse.session import open_session
from warehouse.statements import CHANGE_FEED, PROPERTIES, create_statement
from warehouse.tables import Warehouse, table_path

DIMENSION = 384
# Most that ours may take, as a multiple of each reference; a gate is to be 2.5 times cheaper.
GOALS = {"plain Spark": 1.2, "naive suite": 0.4}
Way = Callable[[], object]
Seconds = dict[str, float]


def vectors(rows: int) -> pa.Table:
    """Unit vectors under keys that no other call gives."""
    drawn = np.random.default_rng(rows).standard_normal((rows, DIMENSION), dtype=np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    flat = pa.array(drawn.reshape(-1))
    lists = pa.ListArray.from_arrays(pa.array(range(0, rows * DIMENSION + 1, DIMENSION), pa.int32()), flat)
    columns = {
        "text_hash": [f"{number:032x}" for number in range(rows)],
        "encoder_id": ["bench"] * rows,
        "vector": lists,
        "run_id": ["bench"] * rows,
    }
    return EMBEDDINGS.check(pa.table(columns))


def questions(first: int, rows: int, text: str) -> pa.Table:
    """Questions with consecutive ids."""
    constant = {name: [value] * rows for name, value in QUESTIONS.example.items()}
    ids = [f"{number:032x}" for number in range(first, first + rows)]
    return QUESTIONS.check(pa.table({**constant, "question_id": ids, "question": [text] * rows}))


def best_of(rounds: int, ways: dict[str, Callable[[Path], Way]], scratch: Path) -> Seconds:
    """Seconds of each way: made ready outside the clock, then run, in turn."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name, prepare in ways.items():
            folder = scratch / f"{name.replace(' ', '-')}-{turn}"
            run = prepare(folder)
            begun = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - begun)
            shutil.rmtree(folder, ignore_errors=True)
    return {name: min(seconds) for name, seconds in taken.items()}


def appends(spark: SparkSession, rows: pa.Table, rounds: int, scratch: Path) -> Seconds:
    """Vectors into an empty table."""

    def ours(folder: Path) -> Way:
        warehouse = Warehouse(spark, str(folder))
        warehouse.ensure(EMBEDDINGS)
        return lambda: warehouse.append(EMBEDDINGS, rows)

    def plain(folder: Path) -> Way:
        path = table_path(str(folder), EMBEDDINGS)
        spark.sql(create_statement(EMBEDDINGS, f"delta.`{path}`", {**PROPERTIES, **CHANGE_FEED}))
        return lambda: spark.createDataFrame(rows).write.format("delta").mode("append").save(path)

    def package(folder: Path) -> Way:
        return lambda: write_deltalake(str(folder), rows, partition_by=list(EMBEDDINGS.partitioned_by))

    return best_of(rounds, {"nightjar": ours, "plain Spark": plain, "deltalake": package}, scratch)


def merges(spark: SparkSession, stored: pa.Table, changed: pa.Table, rounds: int, scratch: Path) -> Seconds:
    """Changed rows into a large table."""
    path = table_path(str(scratch / "stored"), QUESTIONS)
    warehouse = Warehouse(spark, str(scratch / "stored"))
    warehouse.ensure(QUESTIONS)
    warehouse.add(QUESTIONS, stored)

    def copied(folder: Path) -> str:
        copy = table_path(str(folder), QUESTIONS)
        shutil.copytree(path, copy)
        return copy

    def ours(folder: Path) -> Way:
        copied(folder)
        writing = Warehouse(spark, str(folder))
        writing.ensure(QUESTIONS)
        return lambda: writing.merge(QUESTIONS, changed)

    def plain(folder: Path) -> Way:
        copy = copied(folder)
        spark.createDataFrame(changed).createOrReplaceTempView("changed")
        statement = (
            f"MERGE INTO delta.`{copy}` AS target USING changed AS source ON target.question_id = source.question_id "
            "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
        )
        return lambda: spark.sql(statement).collect()

    def package(folder: Path) -> Way:
        write_deltalake(str(folder), stored)
        return lambda: (
            DeltaTable(str(folder))
            .merge(changed, "target.question_id = source.question_id", "source", "target")
            .when_matched_update_all()
            .when_not_matched_insert_all()
            .execute()
        )

    return best_of(rounds, {"nightjar": ours, "plain Spark": plain, "deltalake": package}, scratch)


def reads(spark: SparkSession, scratch: Path, rounds: int) -> Seconds:
    """One aggregate over the large table at a version."""
    path = table_path(str(scratch / "stored"), QUESTIONS)
    warehouse = Warehouse(spark, str(scratch / "stored"))
    aggregate = [F.count(F.lit(1)), F.max("question_id"), F.sum(F.length("question"))]

    def ours(_: Path) -> Way:
        return lambda: warehouse.arrow(QUESTIONS, warehouse.read(QUESTIONS, version=1).agg(*aggregate))

    def plain(_: Path) -> Way:
        return lambda: spark.read.format("delta").option("versionAsOf", 1).load(path).agg(*aggregate).toArrow()

    def package(_: Path) -> Way:
        def read() -> object:
            columns = DeltaTable(path, version=1).to_pyarrow_table(columns=["question_id", "question"])
            lengths = pa.compute.sum(pa.compute.utf8_length(columns["question"]))
            return len(columns), pa.compute.max(columns["question_id"]), lengths

        return read

    return best_of(rounds, {"nightjar": ours, "plain Spark": plain, "deltalake": package}, scratch)


def gates(spark: SparkSession, scratch: Path, rounds: int, rows: int) -> Seconds:
    """What is expected of passages, as one aggregate and as Great Expectations' own expectations of the same."""
    os.environ |= {"GX_ANALYTICS_ENABLED": "false", "TQDM_DISABLE": "1"}  # read when it is imported
    import great_expectations as gx
    from great_expectations import expectations as gxe

    frame = passages(Warehouse(spark, str(scratch / "stored")), rows)
    context = gx.get_context(mode="ephemeral")
    source = context.data_sources.add_spark("bench")
    batches = source.add_dataframe_asset("stored").add_batch_definition_whole_dataframe("all")
    naive = gx.ExpectationSuite(
        name="naive",
        expectations=[
            gxe.ExpectColumnValuesToNotBeNull(column="chunk_id"),
            gxe.ExpectColumnValuesToBeUnique(column="chunk_id"),
            gxe.ExpectColumnValueLengthsToBeBetween(column="text", min_value=1),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="end", column_B="start"),
            gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=list(KINDS)),
            gxe.ExpectColumnMaxToBeBetween(column="tokens", max_value=512),
        ],
    )

    def ours(_: Path) -> Way:
        return lambda: judge("chunks", measure(frame, CHUNKS.all_expectations), CHUNKS.all_expectations)

    def reference(_: Path) -> Way:
        return lambda: batches.get_batch({"dataframe": frame}).validate(naive)

    return best_of(rounds, {"nightjar": ours, "naive suite": reference}, scratch)


def passages(warehouse: Warehouse, rows: int) -> DataFrame:
    """A stored table of so many passages, alike but for their keys and texts."""
    constants = [F.lit(value).alias(name) for name, value in CHUNKS.example.items()]
    own = {"chunk_id": F.md5(F.col("id").cast("string")), "text": F.concat(F.lit("Passage "), F.col("id"))}
    made = warehouse.spark.range(rows).select("id", *constants).withColumns(own).drop("id")
    made.write.format("delta").mode("append").save(warehouse.ensure(CHUNKS))
    return warehouse.read(CHUNKS)


def growth(spark: SparkSession, scratch: Path, sizes: tuple[int, ...]) -> Seconds:
    """1,000 rows appended to tables of several sizes; the best of three batches each."""
    taken: Seconds = {}
    for size in sizes:
        warehouse = Warehouse(spark, str(scratch / f"grown-{size}"))
        warehouse.ensure(QUESTIONS)
        warehouse.add(QUESTIONS, questions(0, size, "What is stored?"))
        batches = [questions(size + turn * 1000, 1000, "What is new?") for turn in range(3)]
        seconds = []
        for batch in batches:
            begun = time.perf_counter()
            warehouse.append(QUESTIONS, batch)
            seconds.append(time.perf_counter() - begun)
        taken[f"{size:,} rows"] = min(seconds)
    return taken


def main(
    vectors_written: Annotated[int, typer.Option("--vectors", help="Vectors appended.")] = 100_000,
    stored: Annotated[int, typer.Option(help="Rows of the table that is merged into and read.")] = 1_000_000,
    merged: Annotated[int, typer.Option(help="Rows merged, half of them new.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each way is run.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Run every comparison and print seconds of ours, of each reference, and their ratio."""
    spark = open_session()
    large = questions(0, stored, "What is stored?")
    changed = questions(stored - merged // 2, merged, "What has changed?")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        measured = chain(
            compared(f"append {vectors_written:,} vectors", appends(spark, vectors(vectors_written), rounds, scratch)),
            compared(f"merge {merged:,} rows into {stored:,}", merges(spark, large, changed, rounds, scratch)),
            compared(f"one aggregate over {stored:,} rows", reads(spark, scratch, rounds)),
            compared(f"gate over {stored:,} rows", gates(spark, scratch, rounds, stored)),
            grown(growth(spark, scratch, (stored // 100, stored // 10, stored))),
        )
        print_measured(measured, as_json)


def compared(measure: str, ways: Seconds) -> list[Measured]:
    """Ours beside every reference."""
    ours = ways["nightjar"]
    references = {name: seconds for name, seconds in ways.items() if name != "nightjar"}
    return [Measured(f"{measure}, s", ours, seconds, name, GOALS.get(name)) for name, seconds in references.items()]


def grown(seconds: Seconds) -> list[Measured]:
    """The slowest append beside the fastest."""
    slowest, fastest = max(seconds, key=seconds.__getitem__), min(seconds, key=seconds.__getitem__)
    return [Measured(f"append 1,000 rows to {slowest}, s", seconds[slowest], seconds[fastest], f"to {fastest}", 2)]


if __name__ == "__main__":
    typer.run(main)
