"""Which nights were missed, and which of them are made up for."""

from datetime import date, timedelta

from pyspark.sql import functions as F

from schemas.corpus import NightsSettings
from schemas.runs import RUNS
from warehouse.tables import Warehouse

# Stages that every night has; no backfill has both.
MARKS = ("questions", "publish")


def last_night(warehouse: Warehouse) -> date | None:
    """Logical date of the newest night that came to its end; none where there was none yet."""
    marks = warehouse.read(RUNS).where(F.col("stage").isin(*MARKS) & (F.col("state") == "completed"))
    whole = marks.groupBy("run_id", "ds").count().where(F.col("count") == len(MARKS))
    newest: date | None = whole.agg(F.max("ds").alias("ds")).collect()[0]["ds"]
    return newest


def missed_nights(last: date | None, today: date) -> tuple[date, ...]:
    """Dates between the last night and today, without either; none before a first night."""
    days = (today - last).days if last else 0
    return tuple(today - timedelta(days=number) for number in range(days - 1, 0, -1))


def made_up_for(missed: tuple[date, ...], settings: NightsSettings) -> tuple[date, ...]:
    """Missed dates that get a night of their own, oldest first."""
    return missed[-settings.most :] if settings.missed == "each" else ()
