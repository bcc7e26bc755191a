"""The index versions of a corpus: which there are, which is live, and going back to one of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as RichTable

from flows.opening import open_warehouse
from schemas.corpus import Corpus
from schemas.indexes import INDEXES
from schemas.table import Expectation
from tasks.refreshing import follow_pointer, gates
from warehouse.bundle import indexes_folder
from warehouse.pointer import Pointer, read_pointer, roll_back

SHOWN = ("index_id", "ds", "state", "chunks", "encoder_id", "built_at", "published_at", "run_id")


def versions_of(corpus: Corpus) -> list[dict[str, Any]]:
    """Every index version that was ever built, newest first, as `nightjar indexes --json` prints them.

    `kept` says whether its bundle is still on disk, `previous` whether a rollback can name it.
    """
    warehouse = open_warehouse(corpus)
    rows = warehouse.arrow(INDEXES, warehouse.read(INDEXES).orderBy(F.desc("built_at"), "index_id")).to_pylist()
    pointer = read_pointer(corpus.warehouse)
    asked = {expectation.name: expectation for expectation in gates(corpus.index.min_recall)}
    folder = indexes_folder(corpus.warehouse)
    return [_described(row, pointer, asked, folder) for row in rows]


def go_back(corpus: Corpus, index_id: str | None) -> Pointer:
    """Make an earlier version live, then have `indexes` say so.

    Args:
        index_id: version to go back to; the one before the live one when left out.

    Raises:
        UnknownName: no earlier version of that name.
        BundleError: nothing is published, there is no version before it, or its bundle is gone or damaged.
    """
    pointer = roll_back(corpus.warehouse, index_id)
    warehouse = open_warehouse(corpus)
    changed = follow_pointer(warehouse.arrow(INDEXES, warehouse.read(INDEXES)).to_pylist(), pointer)
    if changed:
        warehouse.merge(INDEXES, INDEXES.rows(changed))
    return pointer


def print_versions(console: Console, versions: list[dict[str, Any]], corpus: Corpus) -> None:
    """The versions for people."""
    if not versions:
        console.print(f"No index version was built yet: nightjar nightly {corpus.name}")
        return
    table = RichTable(title=f"{corpus.name}: index versions", title_justify="left", padding=0)
    for heading in ("index_id", "built", "passages", "state", "bundle", "gates"):
        table.add_column(heading, justify="right" if heading == "passages" else "left", overflow="fold")
    for version in versions:
        table.add_row(
            version["index_id"],
            f"{version['built_at']:%Y-%m-%d %H:%M}",
            f"{version['chunks']:,}",
            "live" if version["live"] else version["state"],
            "kept" if version["kept"] else "deleted",
            "\n".join(_gate_line(name, gate) for name, gate in version["gates"].items()),
        )
    console.print(table)


def _described(
    row: Mapping[str, Any], pointer: Pointer | None, asked: Mapping[str, Expectation], folder: Path
) -> dict[str, Any]:
    index_id = row["index_id"]
    return {name: row[name] for name in SHOWN} | {
        "live": pointer is not None and pointer.index_id == index_id,
        "previous": pointer is not None and index_id in pointer.previous,
        "kept": (folder / index_id).is_dir(),
        "gates": {name: _gate(name, value, row, asked.get(name)) for name, value in row["gates"]},
    }


def _gate(name: str, value: float, row: Mapping[str, Any], asked: Expectation | None) -> dict[str, Any]:
    """A gate's value then, and the threshold that the corpus file asks for now; none where it is asked no more."""
    return {
        "value": value,
        "minimum": asked.minimum if asked else None,
        "maximum": asked.maximum if asked else None,
        "failed": name in row["failed_gates"],
    }


def _gate_line(name: str, gate: Mapping[str, Any]) -> str:
    bounds = [
        f"{word} {gate[key]:g}" for key, word in (("minimum", "least"), ("maximum", "most")) if gate[key] is not None
    ]
    asked = f" ({', '.join(bounds)})" if bounds else ""
    return f"{name} {gate['value']:g}{asked}{' FAILED' if gate['failed'] else ''}"
