"""docs/tables.md says what the declarations say."""

from pathlib import Path

from schemas.catalog import TABLES
from schemas.documentation import described, document

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tables.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == document(), "the declarations changed: run make docs"


def test_every_column_has_a_comment_and_an_example_of_its_type() -> None:
    for table in TABLES.values():
        assert all(column["comment"] for column in described(table)["columns"]), table.name
        table.rows([dict(table.example)])
