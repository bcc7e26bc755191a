"""Declarations are complete, and rows that do not fit are refused by name."""

import pyarrow as pa
import pytest

from schemas.catalog import TABLES, table_named
from schemas.errors import SchemaError, UnknownName
from schemas.table import Table, column

NAMES = sorted(TABLES)


@pytest.mark.parametrize("name", NAMES)
def test_every_table_documents_itself(name: str) -> None:
    table = TABLES[name]
    assert all(field.metadata and field.metadata[b"comment"] for field in table.columns)
    assert not any(table.schema.field(part).nullable for part in table.key)
    assert len(table.rows([dict(table.example)])) == 1
    assert len({expectation.name for expectation in table.all_expectations}) == len(table.all_expectations)


def a_table() -> Table:
    columns = (column("id", pa.string(), "key"), column("size", pa.int32(), "size", null=True))
    return Table("things", "things", columns, ("id",), {"id": "a"})


def test_check_orders_casts_and_fills_in() -> None:
    rows = pa.table({"size": pa.array([1], pa.int64()), "id": ["a"]})
    assert a_table().check(rows).to_pylist() == [{"id": "a", "size": 1}]
    assert a_table().check(pa.table({"id": ["a"]})).to_pylist() == [{"id": "a", "size": None}]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"size": [1]}, "things: column 'id' is missing."),
        ({"id": [None, "a"]}, "things: column 'id' has 1 nulls."),
        ({"id": ["a"], "size": [2**40]}, "things: column 'size': Integer value 1099511627776 not in range"),
    ],
)
def test_check_refuses_by_name(rows: dict[str, list[object]], message: str) -> None:
    with pytest.raises(SchemaError) as caught:
        a_table().check(pa.table(rows))
    assert str(caught.value).startswith(message)


def test_rows_refuse_an_unknown_column() -> None:
    with pytest.raises(SchemaError, match="things: has no column colour"):
        a_table().rows([{"id": "a", "colour": "red"}])


def test_a_key_must_be_declared() -> None:
    with pytest.raises(SchemaError, match="names columns it does not declare: b"):
        Table("things", "things", (column("a", pa.string(), "a"),), ("b",), {})


def test_unknown_table() -> None:
    with pytest.raises(UnknownName, match=r"unknown table 'nope'\. Known: chunks, contexts,"):
        table_named("nope")
