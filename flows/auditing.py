"""Showing how good stored features are, recipe by recipe."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from flows.report import SHOWN_OF_A_FINGERPRINT
from tasks.audit import FIGURES


def print_audit(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """One row per recipe, then what the figures mean."""
    if not rows:
        console.print("No feature is stored.")
        return
    # Without padding the columns fit a terminal of eighty.
    table = RichTable("feature", "recipe", "model", padding=0)
    for name in ("texts", *FIGURES):
        table.add_column(name, justify="right")
    for row in rows:
        fingerprints = (row[name][:SHOWN_OF_A_FINGERPRINT] for name in ("recipe_id", "model_id"))
        table.add_row(row["feature"], *fingerprints, f"{row['texts']:,}", *(_figure(row[name]) for name in FIGURES))
    console.print(table)
    for name, meaning in FIGURES.items():
        console.print(Text(f"{name}: {meaning}"))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
