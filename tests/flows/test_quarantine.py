"""Rejected rows are counted by reason, and fed back when asked."""

import pytest

from flows.quarantine import feed_back, quarantined
from schemas.quarantine import QUARANTINE
from warehouse.tables import Warehouse


@pytest.fixture
def filled(warehouse: Warehouse) -> Warehouse:
    rows = [
        {"quarantine_id": "1", "stage": "extract", "reason": "empty_text", "open": True},
        {"quarantine_id": "2", "stage": "extract", "reason": "empty_text", "open": True},
        {"quarantine_id": "3", "stage": "features:keywords", "reason": "repetitive", "open": True},
        {"quarantine_id": "4", "stage": "extract", "reason": "not_html", "open": False},
    ]
    warehouse.append(QUARANTINE, QUARANTINE.rows([dict(QUARANTINE.example) | row for row in rows]))
    return warehouse


def test_open_rows_are_counted_by_stage_and_reason(filled: Warehouse) -> None:
    found = quarantined(filled)
    assert found["open"] == [
        {"stage": "extract", "reason": "empty_text", "rows": 2},
        {"stage": "features:keywords", "reason": "repetitive", "rows": 1},
    ]
    assert len(found["newest"]) == 3
    assert found["newest"][0]["detail"] == QUARANTINE.example["detail"]


def test_feeding_back_closes_the_rows_of_one_stage_once(filled: Warehouse) -> None:
    assert feed_back(filled, "extract") == 2
    assert feed_back(filled, "extract") == 0
    assert quarantined(filled)["open"] == [{"stage": "features:keywords", "reason": "repetitive", "rows": 1}]
    assert filled.read(QUARANTINE).count() == 4
