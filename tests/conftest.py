"""Fixtures that tests of several folders share: one Spark session and one Prefect API for all of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import get_current_settings
from prefect.testing.utilities import prefect_test_harness
from pyspark.sql import SparkSession

from warehouse.session import open_session
from warehouse.tables import Warehouse

# Tests run each query once: what the JVM's second compiler would gain is never earned back.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    session = open_session("local[2]")
    # Compiling a plan costs more than running it over a few rows.
    session.conf.set("spark.sql.codegen.wholeStage", "false")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[str]:
    """URL of a Prefect API that lives as long as the tests."""
    with prefect_test_harness(server_startup_timeout=180):
        yield str(get_current_settings().api.url)


@pytest.fixture
def warehouse(spark: SparkSession, tmp_path: Path) -> Warehouse:
    return Warehouse(spark, str(tmp_path))
