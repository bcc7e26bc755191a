"""The shape of a table declaration. Every file beside this one holds one `Table`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from schemas.errors import SchemaError

TIMESTAMP = pa.timestamp("us", tz="UTC")


def column(name: str, type_: pa.DataType, comment: str, *, null: bool = False) -> "pa.Field[Any]":
    """One column: name, Arrow type, and the comment that `nightjar tables` and Delta show."""
    return pa.field(name, type_, nullable=null, metadata={"comment": comment})


@dataclass(frozen=True)
class Expectation:
    """A figure of the table that must lie between two bounds.

    The figure is one SQL aggregate, so that all expectations of a table cost one scan; Great
    Expectations then validates the one-row result.

    Attributes:
        aggregate: what is measured; where `exact` is there, a cheaper figure that within the bounds proves as much.
        exact: what is measured in another scan where the cheap figure is out of bounds.
    """

    name: str
    aggregate: str
    minimum: float | None = None
    maximum: float | None = None
    meaning: str = ""
    exact: str = ""

    def holds(self, figure: float) -> bool:
        """Whether a figure lies between the bounds."""
        least = -math.inf if self.minimum is None else self.minimum
        most = math.inf if self.maximum is None else self.maximum
        return least <= figure <= most


def none_where(name: str, condition: str, meaning: str) -> Expectation:
    """No row may satisfy `condition` (SQL)."""
    return Expectation(name, f"count_if({condition})", maximum=0, meaning=meaning)


@dataclass(frozen=True)
class Table:
    """Everything that is known about one Delta table before it exists.

    Attributes:
        key: columns that tell rows apart; never null, checked for uniqueness by the gate.
        partitioned_by: partition columns; merges and reads prune by them.
        live: name of the boolean column that is false for rows whose source is gone, if any.
        expectations: beyond the key's, which every table gets.
        example: one row, used in the documentation and in tests.
    """

    name: str
    comment: str
    columns: tuple["pa.Field[Any]", ...]
    key: tuple[str, ...]
    example: Mapping[str, Any]
    partitioned_by: tuple[str, ...] = ()
    live: str | None = None
    expectations: tuple[Expectation, ...] = ()

    def __post_init__(self) -> None:
        names = {field.name for field in self.columns}
        mentioned = {*self.key, *self.partitioned_by, *self.example}
        if self.live:
            mentioned.add(self.live)
        unknown = mentioned - names
        if unknown:
            raise SchemaError(f"names columns it does not declare: {', '.join(sorted(unknown))}", where=self.name)

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(self.columns)

    @property
    def unstamped(self) -> pa.Schema:
        """The schema of rows that are not stamped with their run yet."""
        return pa.schema([field for field in self.columns if field.name != "run_id"])

    def comment_on(self, column_name: str) -> str:
        """What a column holds."""
        return (self.schema.field(column_name).metadata or {}).get(b"comment", b"").decode()

    @property
    def all_expectations(self) -> tuple[Expectation, ...]:
        """The key's expectations, then the table's own."""
        null_key = " or ".join(f"{name} is null" for name in self.key)
        key = ", ".join(self.key)
        return (
            none_where("key_not_null", null_key, "no key column is null"),
            Expectation(
                "key_unique",
                # As many hashes as rows: as many keys as rows. Hashes are short, and keys are not.
                f"count(*) - count(distinct xxhash64({key}))",
                maximum=0,
                meaning="every key stands once",
                exact=f"count(*) - count(distinct {key})",
            ),
            *self.expectations,
        )

    def rows(self, rows: list[dict[str, Any]]) -> pa.Table:
        """Arrow table of the declared schema from dictionaries.

        Raises:
            SchemaError: a row lacks a required column, has an unknown one or a value of another type.
        """
        known = set(self.schema.names)
        for row in rows:
            unknown = row.keys() - known
            if unknown:
                raise SchemaError(f"has no column {', '.join(sorted(unknown))}", where=self.name)
        try:
            made = pa.Table.from_pylist(rows, schema=self.schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SchemaError(str(error).splitlines()[0], where=self.name) from error
        return self.check(made)

    def check(self, rows: pa.Table) -> pa.Table:
        """The rows in the declared column order and types.

        Missing nullable columns are added as nulls.

        Raises:
            SchemaError: naming the first column that is missing, null or not castable.
        """
        arrays = [self._column(rows, field) for field in self.columns]
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def _column(self, rows: pa.Table, field: "pa.Field[Any]") -> "pa.ChunkedArray[Any]":
        if field.name not in rows.schema.names:
            if not field.nullable:
                raise SchemaError(f"column {field.name!r} is missing", where=self.name)
            return pa.chunked_array([pa.nulls(len(rows), field.type)])
        values = rows.column(field.name)
        if not field.nullable and values.null_count:
            raise SchemaError(f"column {field.name!r} has {values.null_count} nulls", where=self.name)
        try:
            return values.cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise SchemaError(f"column {field.name!r}: {error}", where=self.name) from error
