"""The kill program sees what it looks for: open commits, and every way in which tables can differ."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from bench.kills import Moment, Point, evenly, open_commits, orphans, points_over, table_differences
from schemas.catalog import TABLES
from warehouse.manifest import MANIFEST
from warehouse.pointer import swap_pointer
from warehouse.registry import UNFINISHED, registry_of

ROWS = [{"question_id": "a", "question": "What?"}, {"question_id": "b", "question": "Who?"}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A warehouse of one table and two commits, the second of which supersedes the first one's file."""
    for word in ("What?", "Who?"):
        rows = pa.table({"question_id": ["a"], "question": [word]})
        write_deltalake(str(tmp_path / "tables" / "questions"), rows, mode="overwrite")
    return tmp_path


def test_a_data_file_that_no_log_entry_names_is_an_open_commit(root: Path) -> None:
    assert open_commits(root) == []
    (root / "tables" / "questions" / "part-00000.parquet").touch()
    assert open_commits(root) == ["questions"]


def test_a_point_inside_is_reached_after_its_commits_and_with_an_open_one(root: Path) -> None:
    assert Point(2, Moment.COMMITTED).reached(root)
    assert not Point(2, Moment.COMMITTING).reached(root)
    (root / "tables" / "questions" / "part-00000.parquet").touch()
    assert Point(2, Moment.COMMITTING).reached(root)
    assert not Point(3, Moment.COMMITTING).reached(root)


def test_the_moments_of_an_index_are_told_apart(tmp_path: Path) -> None:
    building, built = Point(0, Moment.BUILDING), Point(0, Moment.BUILT)
    assert not building.reached(tmp_path)
    unfinished = registry_of(tmp_path).folder / f"{UNFINISHED}a"
    unfinished.mkdir(parents=True)
    assert building.reached(tmp_path)
    assert not built.reached(tmp_path)
    (unfinished / MANIFEST).touch()
    unfinished.rename(registry_of(tmp_path).folder / "a")
    assert built.reached(tmp_path)
    swap_pointer(tmp_path, "a", expected=None)
    assert not built.reached(tmp_path)


def test_points_are_of_both_kinds_in_the_order_of_a_night(root: Path) -> None:
    commits = [Point(1, Moment.COMMITTED), Point(1, Moment.COMMITTING)]
    assert points_over(root, 4) == [*commits, Point(0, Moment.BUILDING), Point(0, Moment.BUILT)]
    assert evenly(range(40), 4) == [5, 15, 25, 35]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (ROWS, []),
        ([*ROWS, ROWS[0]], ["questions: 1 twice"]),
        (ROWS[:1], ["questions: 1 lost"]),
        ([*ROWS, {"question_id": "c", "question": "Why?"}], ["questions: 1 unknown"]),
        ([ROWS[0], {"question_id": "b", "question": "Why?"}], ["questions: 1 with other values"]),
    ],
)
def test_every_way_to_differ_is_told(found: list[dict[str, str]], said: list[str]) -> None:
    assert table_differences("questions", ROWS, found) == said


def test_a_row_without_its_source_is_an_orphan() -> None:
    found = {name: [] for name in TABLES} | {"chunks": [{"doc_id": "gone", "text_hash": "there"}]}
    assert orphans(found | {"embeddings": [{"text_hash": "there"}]}) == ["chunks: 1 of no documents"]
