"""The gate stage: what was committed since the last passed gate must meet its table's expectations."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pyspark.sql import functions as F

from schemas.runs import RUNS
from schemas.table import Table
from tasks.run import Stage
from warehouse.gates import judge, measure, write_page

# Tables that every run writes, if only to say that it found nothing: they are checked along with the others.
BOOKKEEPING = {"indexes", "runs"}
PLANNED_AT_ONCE = 2


def check_tables(stage: Stage, tables: Iterable[Table], pages: Path) -> None:
    """Check every table that has a version no gate has passed, and remember the versions that now have.

    Args:
        pages: folder for the results as HTML.

    Raises:
        GateError: an expectation does not hold; names it, its value and its bounds.
    """
    passed = passed_versions(stage)
    tables = list(tables)
    stage.ledger.rows_in = len(tables)
    unchecked = [table for table in tables if stage.run.pin(table) > passed.get(table.name, -1)]
    if all(table.name in BOOKKEEPING for table in unchecked):
        unchecked = []
    stage.ledger.skipped = len(tables) - len(unchecked)
    if not unchecked:
        return
    stage.run.progress.begin(stage.ledger.stage, len(unchecked), "tables")
    try:
        # Small tables cost their plan, which Spark makes in one thread: two at a time use two cores.
        with ThreadPoolExecutor(PLANNED_AT_ONCE) as executor:
            measured = executor.map(partial(_measured, stage), unchecked)
            for table, figures in zip(unchecked, measured, strict=True):
                result = judge(table.name, figures, table.all_expectations)
                result.raise_if_failed(str(write_page(result, pages)))
                stage.run.progress.advance(1)
    finally:
        stage.run.progress.end()


def _measured(stage: Stage, table: Table) -> dict[str, float]:
    return measure(stage.read(table), table.all_expectations)


def passed_versions(stage: Stage) -> dict[str, int]:
    """Per table the newest version that a gate has passed, read off the ledgers in `runs`."""
    ledgers = stage.run.warehouse.read(RUNS).where((F.col("stage") == "gate") & (F.col("state") == "completed"))
    versions = ledgers.select(F.explode("versions_read").alias("name", "version")).groupBy("name").agg(F.max("version"))
    return dict(versions.toArrow().to_pandas().itertuples(index=False))
