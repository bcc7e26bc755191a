"""What happens to a disk is one clear line: what, where, what is left and what mends it."""

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from schemas.errors import WarehouseError
from schemas.questions import QUESTIONS
from warehouse.failures import translate
from warehouse.tables import Warehouse


def questions(*texts: str) -> list[dict[str, object]]:
    return [dict(QUESTIONS.example) | {"question_id": secrets.token_hex(16), "question": text} for text in texts]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root can make a file system of two megabytes")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_loses_nothing(spark: SparkSession, small_disk: Path) -> None:
    warehouse = Warehouse(spark, str(small_disk))
    warehouse.append(QUESTIONS, QUESTIONS.rows(questions("What fits?")))
    large = [secrets.token_hex(50_000) for _ in range(40)]
    with pytest.raises(WarehouseError, match=r"the disk is full\. Nothing of this batch was committed"):
        warehouse.append(QUESTIONS, QUESTIONS.rows(questions(*large)))
    assert [row["question"] for row in warehouse.read(QUESTIONS).collect()] == ["What fits?"]


def test_a_read_only_root_is_named(spark: SparkSession) -> None:
    with pytest.raises(WarehouseError, match=r"/proc/nightjar/tables/questions: the warehouse cannot be written\."):
        Warehouse(spark, "/proc/nightjar").append(QUESTIONS, QUESTIONS.rows(questions("Where?")))


def test_lost_data_files_are_named(warehouse: Warehouse) -> None:
    warehouse.append(QUESTIONS, QUESTIONS.rows(questions("Where?")))
    for path in Path(warehouse.path(QUESTIONS)).glob("*.parquet"):
        path.unlink()
    with pytest.raises(WarehouseError, match=r"tables/questions: data files of the table are missing\."):
        warehouse.arrow(QUESTIONS, warehouse.read(QUESTIONS))
    with pytest.raises(WarehouseError, match=r"data files of the table are missing\."):
        list(warehouse.stream(warehouse.read(QUESTIONS), QUESTIONS.schema, 10))


def test_what_spark_says_itself_is_told_and_not_who_passed_it_on(warehouse: Warehouse) -> None:
    schema = pa.schema([pa.field("text", pa.string())])
    failing = warehouse.spark.range(2).selectExpr("if(id = 1, raise_error('an owl'), 'a') AS text")
    with pytest.raises(WarehouseError, match="an owl") as raised:
        list(warehouse.stream(failing, schema, 10))
    assert "\n" not in str(raised.value)


def test_a_lost_log_is_named(spark: SparkSession, warehouse: Warehouse) -> None:
    for number in range(3):
        warehouse.append(QUESTIONS, QUESTIONS.rows(questions(str(number))))
    log = Path(warehouse.path(QUESTIONS)) / "_delta_log"
    for version in (0, 1):
        (log / f"{version:020}.json").unlink()
        (log / f"{version:020}.crc").unlink(missing_ok=True)
    fresh = Warehouse(spark.newSession(), warehouse.root)
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # what a new process would not have seen
    with pytest.raises(WarehouseError, match=r"tables/questions: part of the table's log is gone\."):
        fresh.arrow(QUESTIONS, fresh.read(QUESTIONS))


def test_spark_that_died_says_so() -> None:
    error = translate(ConnectionRefusedError(111, "Connection refused"), "/data/tables/questions")
    assert str(error).startswith("/data/tables/questions: Spark has died. Nothing of this batch was committed")
