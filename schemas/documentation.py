"""The declared tables as text: for `docs/tables.md` and for `nightjar tables`.

`python -m schemas.documentation` prints the document.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from schemas.catalog import TABLES
from schemas.table import Table

PREFACE = (
    "# Tables\n\n"
    "Every table of a corpus is a Delta table under `ROOT/tables/NAME`. This page is generated from the declarations\n"
    "in [schemas/](../schemas): `make docs` writes it anew.\n"
)


def document() -> str:
    """All tables as one Markdown page, in the order data flows through them."""
    return "\n".join([PREFACE, *(_section(table) for table in TABLES.values())])


def described(table: Table) -> dict[str, Any]:
    """What is declared about a table, as `nightjar tables --json` prints it."""
    return {
        "table": table.name,
        "comment": table.comment,
        "key": list(table.key),
        "partitioned_by": list(table.partitioned_by),
        "live": table.live,
        "columns": [
            {
                "name": field.name,
                "type": str(field.type),
                "null": field.nullable,
                "comment": table.comment_on(field.name),
            }
            for field in table.columns
        ],
        "expectations": {expectation.name: expectation.meaning for expectation in table.all_expectations},
        "example": dict(table.example),
    }


def facts(table: Table) -> str:
    """Key, partitions and liveness in one line."""
    parts = [f"key {', '.join(table.key)}"]
    if table.partitioned_by:
        parts.append(f"partitioned by {', '.join(table.partitioned_by)}")
    if table.live:
        parts.append(f"rows whose source is gone have {table.live} = false")
    return "; ".join(parts)


def shown_type(field: "pa.Field[Any]") -> str:
    """Arrow type, and whether it may be null."""
    return f"{field.type}{', may be null' if field.nullable else ''}"


def _section(table: Table) -> str:
    columns = [
        f"| `{name}` | {shown_type(field)} | {table.comment_on(name)} | {_cell(table.example, name)} |"
        for name, field in zip(table.schema.names, table.columns, strict=True)
    ]
    expectations = [f"- `{expectation.name}`: {expectation.meaning}" for expectation in table.all_expectations]
    return "\n".join(
        [
            f"## {table.name}\n\n{table.comment}\n\n{facts(table).capitalize()}.\n",
            "| column | type | meaning | example |\n| --- | --- | --- | --- |",
            *columns,
            "\nThe gate expects:\n",
            *expectations,
            "",
        ]
    )


def _cell(example: Mapping[str, Any], name: str) -> str:
    if name not in example:
        return ""
    text = " ".join(str(example[name]).split()).replace("|", "\\|")
    return f"`{text[:40]}…`" if len(text) > 40 else f"`{text}`"


if __name__ == "__main__":
    print(document(), end="")
