"""The declared tables of a corpus, for people and for machines."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from schemas.corpus import Corpus
from schemas.documentation import described, facts, shown_type
from schemas.table import Table
from warehouse.tables import table_path


def described_at(corpus: Corpus, table: Table) -> dict[str, Any]:
    """A table's declaration and where it is stored, as `nightjar tables --json` prints it."""
    return described(table) | {"path": table_path(corpus.warehouse, table)}


def print_tables(console: Console, corpus: Corpus, tables: Sequence[Table]) -> None:
    """One table in full, or several in a line each."""
    if len(tables) > 1:
        shown = RichTable("table", "key", "what is in it")
        for table in tables:
            shown.add_row(table.name, ", ".join(table.key), Text(table.comment))
        console.print(shown)
        return
    (table,) = tables
    console.print(Text(f"{table.name}: {table.comment}"))
    console.print(Text(f"{facts(table)}; in {table_path(corpus.warehouse, table)}"))
    columns = RichTable("column", "type", "meaning")
    for field in table.columns:
        columns.add_row(field.name, shown_type(field), Text(table.comment_on(field.name)))
    console.print(columns)
    for expectation in table.all_expectations:
        console.print(Text(f"the gate expects {expectation.name}: {expectation.meaning}"))
