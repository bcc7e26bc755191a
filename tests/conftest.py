"""Fixtures that tests of several folders share: one Spark session and one Prefect API for all of them."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import get_current_settings
from prefect.testing.utilities import prefect_test_harness
from pyspark.sql import SparkSession

from flows.nightly import nightly
from tests.buckets import new_bucket, on_machine, served_buckets
from tests.small_site import write_corpus
from warehouse.session import open_session
from warehouse.tables import Warehouse

# Tests run each query once: what the JVM's second compiler would gain is never earned back. Without it the JVM holds
# 48 MB of compiled code, which Spark fills, and spends a third of its time on throwing some away.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    session = open_session("local[2]")
    # A test that opens Spark by itself has to ask for this fixture first, or all that follow run in its JVM.
    assert (session.sparkContext.master, session.conf.get("spark.driver.memory")) == ("local[2]", "2048m")
    # Compiling a plan costs more than running it over a few rows.
    session.conf.set("spark.sql.codegen.wholeStage", "false")
    session.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[str]:
    """URL of a Prefect API that lives as long as the tests."""
    with prefect_test_harness(server_startup_timeout=180):
        yield str(get_current_settings().api.url)


@pytest.fixture(scope="session")
def object_storage() -> Iterator[str]:
    """Address of an S3 that lives as long as the tests; the environment names it."""
    with served_buckets() as address:
        yield address


@pytest.fixture
def bucket(object_storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG001
    """URL of an empty bucket, whose copies lie in the test's folder."""
    on_machine(monkeypatch, tmp_path / "cache")
    return new_bucket()


@dataclass(frozen=True)
class Night:
    """A corpus after its first night with fake models, for tests that only look at it or work on a copy."""

    corpus: str
    run: Mapping[str, Any]


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession, prefect_api: str) -> Night:  # noqa: ARG001
    corpus = write_corpus(tmp_path_factory.mktemp("night"))
    return Night(corpus, nightly(corpus, "2026-01-01"))


@pytest.fixture
def warehouse(spark: SparkSession, tmp_path: Path) -> Warehouse:
    return Warehouse(spark, str(tmp_path))
