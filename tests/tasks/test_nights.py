"""Which nights were missed, and which of them are made up for."""

from datetime import date, timedelta
from typing import Any

import pytest

from schemas.corpus import NightsSettings
from schemas.runs import RUNS
from tasks.nights import last_night, made_up_for, missed_nights
from warehouse.tables import Warehouse

MONDAY = date(2026, 1, 5)
TUESDAY, WEDNESDAY, THURSDAY = (MONDAY + timedelta(days=number) for number in (1, 2, 3))


def ledger(run_id: str, ds: date, stage: str, state: str = "completed") -> dict[str, Any]:
    return dict(RUNS.example) | {"run_id": run_id, "ds": ds, "stage": stage, "state": state}


@pytest.mark.parametrize(
    ("last", "missed"),
    [(None, ()), (THURSDAY, ()), (WEDNESDAY, ()), (TUESDAY, (WEDNESDAY,)), (MONDAY, (TUESDAY, WEDNESDAY))],
)
def test_dates_between_the_last_night_and_today_were_missed(last: date | None, missed: tuple[date, ...]) -> None:
    assert missed_nights(last, THURSDAY) == missed


def test_the_policy_says_which_are_made_up_for() -> None:
    missed = (MONDAY, TUESDAY, WEDNESDAY)
    assert made_up_for(missed, NightsSettings()) == ()
    assert made_up_for(missed, NightsSettings(missed="each")) == missed
    assert made_up_for(missed, NightsSettings(missed="each", most=2)) == (TUESDAY, WEDNESDAY)


def test_the_last_night_is_one_that_came_to_its_end(warehouse: Warehouse) -> None:
    assert last_night(warehouse) is None
    whole = [ledger("1", MONDAY, "questions"), ledger("1", MONDAY, "publish")]
    failed = [ledger("2", TUESDAY, "questions"), ledger("2", TUESDAY, "publish", "failed")]
    refresh = [ledger("3", WEDNESDAY, "publish")]
    warehouse.add(RUNS, RUNS.rows([*whole, *failed, *refresh]))
    assert last_night(warehouse) == MONDAY
