"""What one engine has and another lacks."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from schemas.errors import WarehouseError
from warehouse.engines import DeltaSpark, Sail, engine_of


def test_a_session_is_sparks_unless_it_says_otherwise(spark: SparkSession) -> None:
    assert isinstance(engine_of(spark), DeltaSpark)


def test_what_sail_lacks_is_one_clear_line(spark: SparkSession) -> None:
    with pytest.raises(WarehouseError, match="Sail does not have vacuum") as caught:
        Sail(spark).need("VACUUM", "some/table")
    assert "leave out `spark" in caught.value.remedy


def test_sail_has_one_writer(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Sail(spark), Sail(spark)
    first.claim(str(tmp_path))
    second.claim(str(tmp_path))
    monkeypatch.setattr(Sail, "_claimed", {})  # as another process has it
    with pytest.raises(WarehouseError, match="there is one writer"):
        second.claim(str(tmp_path))
