"""The table operations that every engine must do alike.

`python -m tests.warehouse.conformance MASTER ROOT` does them and prints what the tables hold
afterwards; Sail is asked for what it lacks and not for maintenance. A process has one kind of Spark session,
so each engine gets its own.
"""

import json
import sys
from collections.abc import Callable
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from schemas.chunks import CHUNKS
from schemas.embeddings import EMBEDDINGS
from schemas.errors import SchemaError, WarehouseError
from schemas.questions import QUESTIONS
from schemas.runs import RUNS
from schemas.table import Table, column
from warehouse.maintenance import compact, history, restore, vacuum
from warehouse.session import open_session
from warehouse.tables import Warehouse


def operations(warehouse: Warehouse) -> dict[str, Any]:
    """Every way to write, read and look after tables, and what came of it."""
    found: dict[str, Any] = {}
    found["appended"] = [append(warehouse, "a", "b"), append(warehouse, "b", "c")]
    found["merged"] = vars(warehouse.merge(QUESTIONS, asked("b", "d", question="New?")))
    found["vanished"] = vars(warehouse.merge(QUESTIONS, asked("a"), vanish={"source": ["corpus"]}))
    found["questions"] = stored(warehouse, QUESTIONS)
    found["versions"] = [warehouse.version(QUESTIONS), warehouse.read(QUESTIONS, version=1).count()]
    run = dict(RUNS.example)
    warehouse.add(RUNS, RUNS.rows([run, run | {"stage": "x", "ds": date(2026, 11, 24)}]))
    replaced = RUNS.rows([run | {"stage": "y", "versions_read": [("chunks", 7)]}])
    found["replaced"] = warehouse.replace(RUNS, replaced, where={"ds": run["ds"]})
    found["runs"] = stored(warehouse, RUNS)
    for table in (CHUNKS, EMBEDDINGS):
        warehouse.append(table, table.rows([dict(table.example)]))
        found[table.name] = stored(warehouse, table)
    found["pending"] = work_left(warehouse)
    found["refused"] = refused(warehouse)
    return json.loads(json.dumps(found, default=str))


def maintenance(warehouse: Warehouse) -> dict[str, Any]:
    """The change feed, a new column, compaction, vacuum, restore and history, after `operations`."""
    found: dict[str, Any] = {}
    changes = warehouse.changes(QUESTIONS, 2).select("question_id", "question", "live", "change")
    found["changes"] = sorted(warehouse.arrow(QUESTIONS, changes).to_pylist(), key=str)
    found["widened"] = widened(warehouse)
    compact(warehouse, QUESTIONS)  # how many files there are to compact is the engine's affair
    found["kept hours"] = vacuum(warehouse, QUESTIONS, oldest=1)
    restore(warehouse, QUESTIONS, 1)
    found["restored questions"] = stored(warehouse, QUESTIONS)
    found["history"] = [row["operation"] for row in history(warehouse, QUESTIONS) if row["operation"] != "OPTIMIZE"]
    return json.loads(json.dumps(found, default=str))


def lacking(warehouse: Warehouse) -> list[str]:
    """What Sail answers when it is asked for maintenance."""
    asked_for: list[Callable[[], object]] = [
        lambda: warehouse.changes(QUESTIONS, 0),
        lambda: compact(warehouse, QUESTIONS),
        lambda: vacuum(warehouse, QUESTIONS, oldest=None),
        lambda: restore(warehouse, QUESTIONS, 1),
        lambda: history(warehouse, QUESTIONS),
        lambda: widened(warehouse),
    ]
    said = []
    for work in asked_for:
        with pytest.raises(WarehouseError) as caught:
            work()
        said.append(caught.value.what)
    return said


def asked(*ids: str, question: str = "Old?") -> pa.Table:
    return QUESTIONS.rows([{**QUESTIONS.example, "question_id": key, "question": question} for key in ids])


def append(warehouse: Warehouse, *ids: str) -> int:
    return warehouse.append(QUESTIONS, asked(*ids))


def stored(warehouse: Warehouse, table: Table) -> list[dict[str, Any]]:
    return warehouse.arrow(table, warehouse.read(table).orderBy(*table.key)).to_pylist()


def work_left(warehouse: Warehouse) -> list[list[str]]:
    everything = warehouse.read(QUESTIONS)
    left = warehouse.pending(everything, everything.where("question_id = 'a'"), ["question_id"])
    batches = warehouse.stream(left.orderBy("question_id"), QUESTIONS.schema, batch_rows=2)
    return [batch["question_id"].to_pylist() for batch in batches]


def refused(warehouse: Warehouse) -> str:
    """A declaration that lacks a stored column, as an older Nightjar's would."""
    columns = tuple(field for field in QUESTIONS.columns if field.name != "source")
    example = {name: value for name, value in QUESTIONS.example.items() if name != "source"}
    older = Table(QUESTIONS.name, QUESTIONS.comment, columns, QUESTIONS.key, example, live="live")
    with pytest.raises(SchemaError) as caught:
        Warehouse(warehouse.spark, warehouse.root).ensure(older)
    return caught.value.what


def widened(warehouse: Warehouse) -> list[dict[str, Any]]:
    """A stored table after a declaration with one more column, as a newer Nightjar's would have."""
    newer = Table(
        QUESTIONS.name,
        QUESTIONS.comment,
        (*QUESTIONS.columns, column("asked_by", pa.string(), "who asked", null=True)),
        QUESTIONS.key,
        {**QUESTIONS.example, "asked_by": "a test"},
        live="live",
    )
    other = Warehouse(warehouse.spark, f"{warehouse.root}/evolved")
    other.append(QUESTIONS, asked("a"))
    newest = Warehouse(warehouse.spark, other.root)
    newest.append(newer, newer.rows([{**newer.example, "question_id": "b"}]))
    return stored(newest, newer)


if __name__ == "__main__":
    master, root = sys.argv[1:]
    warehouse = Warehouse(open_session(master), root)
    figures = operations(warehouse)
    print(json.dumps([figures, lacking(warehouse) if master == "sail" else maintenance(warehouse)]))
