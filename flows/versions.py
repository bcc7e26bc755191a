"""The index versions of a corpus: which there are, which is live, making another one live, and going back."""

from collections.abc import Container, Mapping
from functools import partial
from typing import Any

from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as RichTable

from flows import opening
from flows.opening import open_warehouse
from models.opening import encoder_id
from schemas.corpus import Corpus
from schemas.errors import BundleError, GateError, UnknownName
from schemas.indexes import INDEXES
from schemas.table import Expectation
from tasks.index_gates import index_gates
from tasks.refreshing import follow_pointer
from warehouse.milvus import follow_live
from warehouse.pointer import Pointer, publish_bundle, read_pointer, roll_back
from warehouse.registry import registry_of
from warehouse.retention import retire_bundles
from warehouse.tables import Warehouse

SHOWN = ("index_id", "ds", "state", "forced", "chunks", "encoder_id", "built_at", "published_at", "run_id")


def versions_of(corpus: Corpus) -> list[dict[str, Any]]:
    """Every index version that was ever built, newest first, as `nightjar indexes --json` prints them.

    `kept` says whether its bundle is still there, `previous` whether a rollback can name it.
    """
    warehouse = open_warehouse(corpus)
    rows = _rows(warehouse)
    pointer = read_pointer(corpus.indexes)
    asked = {expectation.name: expectation for expectation in index_gates(corpus.index)}
    kept = {index_id for index_id, version in registry_of(corpus.indexes).versions().items() if version.whole}
    return [_described(row, pointer, asked, kept) for row in rows]


def make_live(corpus: Corpus, index_id: str | None, *, force: bool = False) -> Pointer:
    """Publish a version that was built and has passed its gates, then have `indexes` say so.

    Args:
        index_id: version to publish; the one built last when left out. Nothing changes where it is live already.
        force: publish it also where it has not passed its gates; `indexes` records that first.

    Raises:
        UnknownName: no such version was ever built.
        GateError: it has not passed its gates.
        BundleError: its bundle is gone, damaged or of another encoder, or another run published meanwhile.
    """
    before = read_pointer(corpus.indexes)
    warehouse = open_warehouse(corpus)
    row = _chosen(_rows(warehouse), index_id, corpus)
    failure = _why_not(row)
    if failure and not force:
        raise GateError(
            f"index version {row['index_id']} {failure}",
            where=corpus.name,
            left_behind="Nothing was published and the live index serves on",
            remedy=f"See nightjar indexes {corpus.name}; add --force to publish it all the same",
        )
    if failure and not row["forced"]:
        warehouse.merge(INDEXES, INDEXES.rows([row | {"forced": True}]))
    expected = before.index_id if before else None
    pointer = publish_bundle(corpus.indexes, row["index_id"], encoder_id(corpus.encoder), expected=expected)
    retire_bundles(corpus.indexes, corpus.index.keep)
    _tell(corpus, warehouse, pointer)
    return pointer


def go_back(corpus: Corpus, index_id: str | None) -> Pointer:
    """Make an earlier version live, then have `indexes` say so.

    Args:
        index_id: version to go back to; the one before the live one when left out.

    Raises:
        UnknownName: no earlier version of that name.
        BundleError: nothing is published, there is no version before it, or its bundle is gone, damaged or of another
            encoder.
    """
    pointer = roll_back(corpus.indexes, index_id, encoder_id=encoder_id(corpus.encoder))
    _tell(corpus, open_warehouse(corpus), pointer)
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
            ("live" if version["live"] else version["state"]) + (" (forced)" if version["forced"] else ""),
            "kept" if version["kept"] else "deleted",
            "\n".join(_gate_line(name, gate) for name, gate in version["gates"].items()),
        )
    console.print(table)


def _rows(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Every version in `indexes`, the one built last first."""
    return warehouse.arrow(INDEXES, warehouse.read(INDEXES).orderBy(F.desc("built_at"), "index_id")).to_pylist()


def _chosen(rows: list[dict[str, Any]], index_id: str | None, corpus: Corpus) -> dict[str, Any]:
    by_id = {row["index_id"]: row for row in rows}
    if not rows:
        raise BundleError(
            "no index version was built yet", where=corpus.name, remedy="Build one: nightjar nightly CORPUS"
        )
    if index_id is None:
        return rows[0]
    if index_id not in by_id:
        raise UnknownName("index version", index_id, by_id)
    return by_id[index_id]


def _why_not(row: Mapping[str, Any]) -> str:
    """What keeps a version from being published; empty where its gates have passed."""
    if row["failed_gates"]:
        return f"has failed its gates {', '.join(row['failed_gates'])}"
    return "" if row["gates"] else "was not held against its gates yet"


def _tell(corpus: Corpus, warehouse: Warehouse, pointer: Pointer) -> None:
    """Have `indexes`, and Milvus where the corpus names one, say what the pointer says."""
    changed = follow_pointer(_rows(warehouse), pointer)
    if changed:
        warehouse.merge(INDEXES, INDEXES.rows(changed))
    if corpus.milvus:
        follow_live(corpus.indexes, corpus.index.keep, partial(opening.milvus, corpus, corpus.milvus))


def _described(
    row: Mapping[str, Any], pointer: Pointer | None, asked: Mapping[str, Expectation], kept: Container[str]
) -> dict[str, Any]:
    index_id = row["index_id"]
    return {name: row[name] for name in SHOWN} | {
        "live": pointer is not None and pointer.index_id == index_id,
        "previous": pointer is not None and index_id in pointer.previous,
        "kept": index_id in kept,
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
