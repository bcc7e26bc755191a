"""Looking after tables: compaction, vacuum that keeps what an index was built from, history and restore."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.errors import WarehouseError
from schemas.table import Table
from warehouse.registry import manifests
from warehouse.statements import CHANGE_FEED, PROPERTIES, property_list
from warehouse.tables import Warehouse

LEAST_RETENTION = timedelta(days=7)  # Delta's own: readers of an earlier version may still be at work
CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"
MARGIN = timedelta(hours=1)


@dataclass(frozen=True)
class Compacted:
    """Files that a compaction wrote, and those they replace."""

    written: int
    replaced: int


def compact(warehouse: Warehouse, table: Table) -> Compacted:
    """Write a table's small files together. Its rows stay as they are, and its earlier versions readable."""
    (row,) = warehouse.statement(table, "OPTIMIZE {table}")
    return Compacted(int(row["metrics"]["numFilesAdded"]), int(row["metrics"]["numFilesRemoved"]))


def set_properties(warehouse: Warehouse, table: Table) -> list[str]:
    """Give a stored table the properties that a new one gets; an earlier version may have made it with others.

    Returns:
        Names of those it lacked, or had with another value.
    """
    stored = {row["key"]: row["value"] for row in warehouse.statement(table, "SHOW TBLPROPERTIES {table}")}
    changed = {name: value for name, value in {**PROPERTIES, **CHANGE_FEED}.items() if stored.get(name) != value}
    if changed:
        warehouse.statement(table, f"ALTER TABLE {{table}} SET TBLPROPERTIES ({property_list(changed)})")
    return list(changed)


def vacuum(warehouse: Warehouse, table: Table, oldest: int | None, retention: timedelta = LEAST_RETENTION) -> float:
    """Delete data files that no version within the retention needs.

    Args:
        oldest: earliest version that must stay readable, however long ago it was; None for none.
        retention: how far back every version stays readable; at least seven days.

    Returns:
        Hours that were kept.
    """
    kept = max(retention, LEAST_RETENTION)
    if oldest is not None:
        kept = max(kept, datetime.now(UTC) - _committed_at(warehouse, table, oldest) + MARGIN)
    hours = math.ceil(kept.total_seconds() / 3600)
    # The check compares with how long versions may be read (a year); ours is above, and knows what is needed.
    warehouse.spark.conf.set(CHECK, "false")
    try:
        warehouse.statement(table, f"VACUUM {{table}} RETAIN {hours} HOURS")
    finally:
        warehouse.spark.conf.unset(CHECK)
    return float(hours)


def history(warehouse: Warehouse, table: Table, limit: int | None = None) -> list[dict[str, Any]]:
    """A table's versions, newest first: version, timestamp, operation and its metrics."""
    rows = warehouse.statement(table, f"DESCRIBE HISTORY {{table}}{f' LIMIT {limit}' if limit else ''}")
    shown = ("version", "timestamp", "operation", "operationMetrics")
    return [{name: row[name] for name in shown} for row in rows]


def restore(warehouse: Warehouse, table: Table, version: int) -> int:
    """Make a table what it was at a version, as a new version of it. Returns that one.

    Raises:
        WarehouseError: there is no such version, or its files were vacuumed.
    """
    latest = warehouse.version(table)
    if not 0 <= version < latest:
        raise WarehouseError(
            f"no earlier version {version}",
            where=warehouse.path(table),
            remedy=f"Versions before {latest} can be restored: nightjar history CORPUS {table.name}",
        )
    warehouse.statement(table, f"RESTORE TABLE {{table}} TO VERSION AS OF {version}")
    return warehouse.version(table)


def needed_versions(root: str | Path) -> dict[str, int]:
    """Per table the earliest version that a bundle on disk was built from: what a rebuild would read."""
    return earliest(manifest.table_versions for manifest in manifests(root))


def earliest(versions: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The lowest version of each table among several pins."""
    lowest: dict[str, int] = {}
    for pinned in versions:
        for name, version in pinned.items():
            lowest[name] = min(version, lowest.get(name, version))
    return lowest


def _committed_at(warehouse: Warehouse, table: Table, version: int) -> datetime:
    """When a version was committed; of one whose log is gone, when the oldest known one was."""
    rows = [row for row in history(warehouse, table) if row["version"] >= version]
    return min((row["timestamp"].astimezone(UTC) for row in rows), default=datetime.now(UTC))
