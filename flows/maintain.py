"""The maintenance flow: small files are written together, and files that nothing needs are deleted."""

from datetime import timedelta
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.naming import run_name
from flows.opening import open_warehouse
from schemas.catalog import TABLES
from schemas.corpus import load_corpus
from schemas.table import Table
from warehouse import maintenance
from warehouse.tables import Warehouse


@flow(name="maintain", flow_run_name=run_name, persist_result=False)
def maintain(corpus: str, retain_days: int = 7) -> dict[str, Any]:
    """Compact and vacuum every table of a corpus.

    Args:
        corpus: name of a shipped corpus, or path of a corpus file.
        retain_days: how far back every version of a table stays readable, at least 7; versions that an index on
            disk was built from stay readable whatever their age.

    Returns:
        Per table: files written and replaced by compaction, and the hours of history that were kept.
    """
    loaded = load_corpus(corpus)
    warehouse = open_warehouse(loaded)
    needed = maintenance.needed_versions(loaded.indexes)
    return {table.name: look_after(warehouse, table, needed.get(table.name), retain_days) for table in TABLES.values()}


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="maintain-{table.name}")
def look_after(warehouse: Warehouse, table: Table, oldest: int | None, retain_days: int) -> dict[str, float]:
    """Bring one table's properties up to date, compact it, then vacuum it."""
    maintenance.set_properties(warehouse, table)
    compacted = maintenance.compact(warehouse, table)
    hours = maintenance.vacuum(warehouse, table, oldest, timedelta(days=retain_days))
    return {"files_written": compacted.written, "files_replaced": compacted.replaced, "hours_kept": hours}
