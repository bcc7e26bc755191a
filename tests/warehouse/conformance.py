"""The table operations that every engine must do alike.

`python -m tests.warehouse.conformance MASTER ROOT` does them and prints what the tables hold
afterwards. A process has one kind of Spark session, so each engine gets its own.
"""

import json
import sys
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from schemas.chunks import CHUNKS
from schemas.embeddings import EMBEDDINGS
from schemas.errors import SchemaError
from schemas.questions import QUESTIONS
from schemas.runs import RUNS
from schemas.table import Table
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
    found["first version"] = warehouse.read(QUESTIONS, version=1).count()
    changes = warehouse.changes(QUESTIONS, 2).select("question_id", "question", "live", "change")
    found["changes"] = sorted(warehouse.arrow(QUESTIONS, changes).to_pylist(), key=str)
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
    compact(warehouse, QUESTIONS)  # how many files there are to compact is the engine's affair
    found["kept hours"] = vacuum(warehouse, QUESTIONS, oldest=1)
    restore(warehouse, QUESTIONS, 1)
    found["restored questions"] = stored(warehouse, QUESTIONS)
    found["history"] = [row["operation"] for row in history(warehouse, QUESTIONS) if row["operation"] != "OPTIMIZE"]
    return json.loads(json.dumps(found, default=str))


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


if __name__ == "__main__":
    print(json.dumps(operations(Warehouse(open_session(sys.argv[1]), sys.argv[2]))))
