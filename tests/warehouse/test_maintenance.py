"""Maintenance changes files and never rows, and keeps what an index was built from."""

import os
import time
from pathlib import Path

import pytest

from schemas.errors import WarehouseError
from schemas.questions import QUESTIONS
from tests.bundles import built
from warehouse.maintenance import compact, earliest, history, needed_versions, restore, set_properties, vacuum
from warehouse.tables import Warehouse


@pytest.fixture
def grown(warehouse: Warehouse) -> Warehouse:
    """Versions 1, 2 and 3 of `questions` have one, two and three rows."""
    for number in range(3):
        row = dict(QUESTIONS.example) | {"question_id": str(number)}
        warehouse.append(QUESTIONS, QUESTIONS.rows([row]))
    return warehouse


def test_compaction_writes_small_files_together(grown: Warehouse) -> None:
    compacted = compact(grown, QUESTIONS)
    assert (compacted.written, compacted.replaced) == (1, 3)
    assert grown.read(QUESTIONS).count() == 3
    assert compact(grown, QUESTIONS).written == 0


def test_a_table_gets_the_properties_that_a_new_one_has(grown: Warehouse) -> None:
    assert set_properties(grown, QUESTIONS) == []
    grown.statement(QUESTIONS, "ALTER TABLE {table} UNSET TBLPROPERTIES ('delta.isolationLevel')")
    grown.statement(QUESTIONS, "ALTER TABLE {table} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'false')")
    assert set_properties(grown, QUESTIONS) == ["delta.isolationLevel", "delta.enableChangeDataFeed"]
    assert set_properties(grown, QUESTIONS) == []


def test_vacuum_keeps_seven_days_and_every_needed_version(grown: Warehouse) -> None:
    assert vacuum(grown, QUESTIONS, oldest=None) == 7 * 24
    log = Path(grown.path(QUESTIONS)) / "_delta_log" / f"{1:020}.json"
    thirty_days_ago = time.time() - 30 * 24 * 3600
    for path in (log, log.with_name(f"{0:020}.json")):
        os.utime(path, (thirty_days_ago, thirty_days_ago))
    fresh = Warehouse(grown.spark.newSession(), grown.root)
    assert 30 * 24 <= vacuum(fresh, QUESTIONS, oldest=1) <= 30 * 24 + 3
    assert fresh.read(QUESTIONS, version=1).count() == 1


def test_history_is_newest_first(grown: Warehouse) -> None:
    versions = history(grown, QUESTIONS, limit=2)
    assert [row["version"] for row in versions] == [3, 2]
    assert versions[0]["operation"] == "WRITE"


def test_restore_is_a_new_version(grown: Warehouse) -> None:
    assert restore(grown, QUESTIONS, 1) == 4
    assert grown.read(QUESTIONS).count() == 1
    assert grown.read(QUESTIONS, version=3).count() == 3


def test_only_earlier_versions_are_restored(grown: Warehouse) -> None:
    for version in (-1, 3, 99):
        with pytest.raises(WarehouseError, match=rf"no earlier version {version}\. Versions before 3 can be restored"):
            restore(grown, QUESTIONS, version)


def test_the_earliest_pin_of_each_table_counts() -> None:
    assert earliest([{"chunks": 5, "features": 2}, {"chunks": 3}]) == {"chunks": 3, "features": 2}


def test_bundles_on_disk_need_their_versions(tmp_path: Path) -> None:
    assert needed_versions(tmp_path) == {}
    bundle = built(tmp_path)
    assert needed_versions(tmp_path) == bundle.manifest.table_versions
