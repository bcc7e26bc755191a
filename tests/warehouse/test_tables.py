"""Writes are idempotent, reads are pinnable, changes are net."""

import time
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from schemas.chunks import CHUNKS
from schemas.embeddings import EMBEDDINGS
from schemas.errors import SchemaError
from schemas.runs import RUNS
from schemas.table import TIMESTAMP, Table
from warehouse.tables import Merged, Warehouse, first_of_each_key


def vectors(*names: str, value: float = 1.0) -> pa.Table:
    return EMBEDDINGS.rows(
        [{"text_hash": name, "encoder_id": "e", "vector": [value, 0.0], "run_id": "r"} for name in names]
    )


def chunks(*names: str, doc: str = "d", text: str = "text", run: str = "r") -> pa.Table:
    example = {**CHUNKS.example, "doc_id": doc, "text": text, "run_id": run}
    return CHUNKS.rows([{**example, "chunk_id": name} for name in names])


def stored(warehouse: Warehouse, table: Table, **options: int) -> list[dict[str, Any]]:
    rows = warehouse.arrow(table, warehouse.read(table, **options)).to_pylist()
    return sorted(rows, key=lambda row: tuple(str(row[name]) for name in table.key))


@pytest.mark.parametrize("few", [0, 100])
def test_append_writes_each_key_once(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr("warehouse.tables.FEW_KEYS", few)
    assert warehouse.append(EMBEDDINGS, vectors("a", "b", "a")) == 2
    assert warehouse.append(EMBEDDINGS, vectors("b", "c", value=0.5)) == 1
    rows = stored(warehouse, EMBEDDINGS)
    assert [row["text_hash"] for row in rows] == ["a", "b", "c"]
    assert rows[1]["vector"] == [1.0, 0.0], "the row that was there first stays"


def test_append_of_nothing_makes_no_version(warehouse: Warehouse) -> None:
    before = warehouse.version(EMBEDDINGS)
    assert warehouse.append(EMBEDDINGS, vectors()) == 0
    assert warehouse.version(EMBEDDINGS) == before


def test_read_at_a_version(warehouse: Warehouse) -> None:
    warehouse.append(EMBEDDINGS, vectors("a"))
    pinned = warehouse.version(EMBEDDINGS)
    warehouse.append(EMBEDDINGS, vectors("b"))
    assert len(stored(warehouse, EMBEDDINGS, version=pinned)) == 1
    assert len(stored(warehouse, EMBEDDINGS)) == 2


def test_merge_inserts_updates_and_marks_what_vanished(warehouse: Warehouse) -> None:
    warehouse.merge(CHUNKS, chunks("a", "b"))
    warehouse.merge(CHUNKS, chunks("z", doc="other"))
    changed = pa.concat_tables([chunks("a", run="r2"), chunks("c", text="new", run="r2")])
    assert warehouse.merge(CHUNKS, changed, vanish={"doc_id": ["d"]}) == Merged(inserted=1, updated=1, vanished=0)
    rows = {row["chunk_id"]: row for row in stored(warehouse, CHUNKS)}
    assert {name: row["live"] for name, row in rows.items()} == {"a": True, "b": False, "c": True, "z": True}
    assert rows["a"]["run_id"] == "r", "an equal row is left alone"


def test_merge_deletes_what_vanished_where_rows_have_no_liveness(warehouse: Warehouse) -> None:
    warehouse.append(EMBEDDINGS, vectors("a", "b"))
    merged = warehouse.merge(EMBEDDINGS, vectors("a"), vanish={"encoder_id": ["e"]})
    assert merged == Merged(inserted=0, updated=0, vanished=1)
    assert [row["text_hash"] for row in stored(warehouse, EMBEDDINGS)] == ["a"]


def test_merge_compares_maps(warehouse: Warehouse) -> None:
    row = {**RUNS.example}
    warehouse.merge(RUNS, RUNS.rows([row]))
    assert warehouse.merge(RUNS, RUNS.rows([row])) == Merged(0, 0, 0)
    assert warehouse.merge(RUNS, RUNS.rows([{**row, "versions_read": [("chunks", 4)]}])) == Merged(0, 1, 0)


def test_replace_leaves_other_partitions_alone(warehouse: Warehouse) -> None:
    first, second = date(2026, 1, 1), date(2026, 1, 2)
    run = dict(RUNS.example)
    warehouse.append(RUNS, RUNS.rows([{**run, "ds": first}, {**run, "ds": second, "run_id": "other"}]))
    warehouse.replace(RUNS, RUNS.rows([{**run, "ds": first, "rows_out": 5}]), where={"ds": first})
    assert [(row["ds"], row["rows_out"]) for row in stored(warehouse, RUNS)] == [(first, 5), (second, 47)]


def test_changes_are_net(warehouse: Warehouse) -> None:
    warehouse.merge(CHUNKS, chunks("a", "b", "c"))
    since = warehouse.version(CHUNKS)
    warehouse.merge(CHUNKS, chunks("a", text="once"))
    warehouse.merge(CHUNKS, chunks("a", text="twice"))
    warehouse.merge(CHUNKS, chunks("d"))
    warehouse.merge(CHUNKS, chunks("d", text="new"))
    changed = warehouse.arrow(CHUNKS, warehouse.changes(CHUNKS, since)).to_pylist()
    found = {row["chunk_id"]: (row["change"], row["text"]) for row in changed}
    assert found == {"a": ("update", "twice"), "d": ("insert", "new")}


def test_changes_see_deletion_and_nothing(warehouse: Warehouse) -> None:
    warehouse.append(EMBEDDINGS, vectors("a", "b"))
    since = warehouse.version(EMBEDDINGS)
    assert warehouse.changes(EMBEDDINGS, since).count() == 0
    warehouse.merge(EMBEDDINGS, vectors("b"), vanish={"encoder_id": ["e"]})
    changed = warehouse.arrow(EMBEDDINGS, warehouse.changes(EMBEDDINGS, since)).to_pylist()
    assert [(row["text_hash"], row["change"]) for row in changed] == [("a", "delete")]


def test_changes_reach_back_to_before_a_column_was_added(warehouse: Warehouse) -> None:
    columns = tuple(field for field in EMBEDDINGS.columns if field.name != "input_hash")
    older = replace(EMBEDDINGS, columns=columns)
    before = Warehouse(warehouse.spark, warehouse.root)
    before.append(older, vectors("a").drop_columns(["input_hash"]))
    since = before.version(older)
    before.append(older, vectors("b").drop_columns(["input_hash"]))
    again = vectors("a").drop_columns(["input_hash"]).append_column("input_hash", pa.array(["digest"]))
    warehouse.merge(EMBEDDINGS, again)
    changed = warehouse.arrow(EMBEDDINGS, warehouse.changes(EMBEDDINGS, since)).to_pylist()
    found = {row["text_hash"]: (row["change"], row["input_hash"]) for row in changed}
    assert found == {"a": ("update", "digest"), "b": ("insert", None)}


def test_pending_and_stream(warehouse: Warehouse) -> None:
    warehouse.append(EMBEDDINGS, vectors("a", "c"))
    sources = warehouse.frame(pa.table({"text_hash": ["a", "b", "c", "d", "e"]})).orderBy("text_hash")
    left = warehouse.pending(sources, warehouse.read(EMBEDDINGS), ["text_hash"]).orderBy("text_hash")
    schema = pa.schema([("text_hash", pa.string())])
    batches = [batch["text_hash"].to_pylist() for batch in warehouse.stream(left, schema, 2)]
    assert batches == [["b", "d"], ["e"]]


def heap_in_use(warehouse: Warehouse) -> int:
    """Bytes that the driver's JVM holds on to."""
    jvm = warehouse.spark._jvm
    assert jvm is not None
    jvm.java.lang.System.gc()
    runtime = jvm.java.lang.Runtime.getRuntime()
    return int(runtime.totalMemory() - runtime.freeMemory())


def test_rows_already_streamed_are_let_go_of(warehouse: Warehouse) -> None:
    partitions, size = 12, 8 << 20
    frame = warehouse.spark.range(partitions, numPartitions=partitions)
    frame = frame.selectExpr("id", f"CAST(repeat('x', {size}) AS BINARY) AS body")
    schema = pa.schema([("id", pa.int64()), ("body", pa.binary())])
    batches = warehouse.stream(frame, schema, 1)
    assert next(batches)["body"].to_pylist() == [b"x" * size]
    begun = heap_in_use(warehouse)
    for _ in range(partitions - 2):
        next(batches)
    assert heap_in_use(warehouse) - begun < 4 * size
    assert [batch["id"].to_pylist() for batch in batches] == [[partitions - 1]]


def test_times_are_streamed_in_utc_whatever_the_zone(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    made = datetime(2026, 1, 1, 2, tzinfo=UTC)
    rows = pa.table({"made": pa.array([made], TIMESTAMP)})
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        (batch,) = warehouse.stream(warehouse.frame(rows), rows.schema, 2)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert batch["made"].to_pylist() == [made]


def test_rows_that_break_the_schema_are_refused_by_name(warehouse: Warehouse) -> None:
    with pytest.raises(SchemaError, match="embeddings: column 'encoder_id' is missing"):
        warehouse.append(EMBEDDINGS, vectors("a").drop_columns(["encoder_id"]))


def test_a_new_column_needs_no_rewrite_and_a_lost_or_retyped_one_is_refused(warehouse: Warehouse) -> None:
    warehouse.append(EMBEDDINGS, vectors("a"))
    *columns, last = EMBEDDINGS.columns
    note = pa.field("note", pa.string(), metadata={"comment": "a later addition"})
    wider = Table(EMBEDDINGS.name, "", (*EMBEDDINGS.columns, note), EMBEDDINGS.key, {}, EMBEDDINGS.partitioned_by)
    warehouse._ready.clear()
    assert stored(warehouse, wider)[0]["note"] is None
    files = warehouse.read(wider).inputFiles()
    warehouse._ready.clear()
    with pytest.raises(SchemaError, match="columns that this version does not know: note"):
        warehouse.read(EMBEDDINGS)
    retyped = Table(
        EMBEDDINGS.name,
        "",
        (*columns, pa.field(last.name, pa.int64()), note),
        EMBEDDINGS.key,
        {},
        EMBEDDINGS.partitioned_by,
    )
    with pytest.raises(SchemaError, match="'run_id' of 'embeddings' is stored as string and declared as bigint"):
        warehouse.read(retyped)
    assert len(files) == 1


def test_first_of_each_key() -> None:
    rows = vectors("b", "a", "b")
    assert first_of_each_key(EMBEDDINGS, rows)["text_hash"].to_pylist() == ["b", "a"]
