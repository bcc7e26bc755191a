"""What was rejected, why, and feeding it back."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from schemas.corpus import Corpus
from schemas.quarantine import QUARANTINE
from tasks.retire import with_false
from warehouse.tables import Warehouse

ROWS_PER_COMMIT = 1000
LONGEST_DETAIL = 120


def quarantined(warehouse: Warehouse, stage: str | None = None) -> dict[str, Any]:
    """Open rows: how many per stage and reason, and the newest of them, as `nightjar quarantine --json` prints them."""
    rows = _open(warehouse, stage)
    counts = rows.groupBy("stage", "reason").agg(F.count(F.lit(1)).alias("rows")).orderBy("stage", "reason")
    shown = ("created_at", "stage", "reason", "source_key", "recipe_id", "detail", "raw", "run_id")
    newest = rows.orderBy(F.desc("created_at"), "quarantine_id").select(*shown).limit(20)
    return {
        "open": warehouse.arrow(QUARANTINE, counts).to_pylist(),
        "newest": warehouse.arrow(QUARANTINE, newest).to_pylist(),
    }


def feed_back(warehouse: Warehouse, stage: str | None = None) -> int:
    """Close the open rows, so that the next night works on their sources again. Returns how many there were."""
    rows = _open(warehouse, stage)
    fed = 0
    for batch in warehouse.stream(rows, QUARANTINE.schema, ROWS_PER_COMMIT):
        fed += warehouse.merge(QUARANTINE, with_false(batch, "open")).updated
    return fed


def print_quarantine(console: Console, found: Mapping[str, Any], corpus: Corpus) -> None:
    """Counts per stage and reason, then the newest rows. Rejected text is shown as text, never as markup."""
    if not found["open"]:
        console.print("Nothing is in quarantine.")
        return
    _print_rows(console, "in quarantine", ("stage", "reason", "rows"), found["open"])
    newest = [row | {"detail": row["detail"][:LONGEST_DETAIL]} for row in found["newest"]]
    _print_rows(console, "newest", ("stage", "reason", "source_key", "detail"), newest)
    console.print(f"Feed them back: nightjar quarantine {corpus.name} --retry   then run the night again")


def _open(warehouse: Warehouse, stage: str | None) -> DataFrame:
    rows = warehouse.read(QUARANTINE).where("open")
    return rows.where(F.col("stage") == stage) if stage else rows


def _print_rows(console: Console, title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    table = RichTable(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(Text(str(row[name])) for name in columns))
    console.print(table)
