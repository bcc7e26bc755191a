"""Judged queries out of their files."""

from pathlib import Path

import pytest

from schemas.corpus import JudgedSettings, PassagesSettings
from schemas.errors import CorpusError
from tasks.judged import Judged, read_judged
from tests.judged_birds import write_collection

PASSAGES = PassagesSettings(path="corpus.jsonl")


def judged(folder: Path, queries: str = "queries.jsonl", qrels: str = "qrels.tsv") -> Judged:
    settings = JudgedSettings(queries=str(folder / queries), qrels=str(folder / qrels))
    return read_judged(settings, PASSAGES)


def test_beirs_files_are_read_and_queries_without_judgments_left_out(tmp_path: Path) -> None:
    write_collection(tmp_path)
    found = judged(tmp_path)
    assert found.queries == {"q1": "what hunts mice", "q2": "catching moths at dusk"}
    assert found.qrels == {
        "q1": {"passage:owl": 2, "passage:mouse": 1},
        "q2": {"passage:nightjar": 1, "passage:missing": 1},
    }


def test_trecs_files_say_the_same(tmp_path: Path) -> None:
    write_collection(tmp_path)
    (tmp_path / "queries.tsv").write_text("q1\twhat hunts mice\nq2\tcatching moths at dusk\n")
    (tmp_path / "qrels.txt").write_text("q1 0 owl 2\nq1 0 mouse 1\nq2 0 nightjar 1\nq2 0 missing 1\n")
    found = judged(tmp_path, "queries.tsv", "qrels.txt")
    assert found == judged(tmp_path)
    assert found.judged_id == judged(tmp_path).judged_id


@pytest.mark.parametrize("line", ["q1 owl", "q1 0 owl two", "q1 0 owl 1 more"])
def test_a_bad_judgment_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    write_collection(tmp_path)
    (tmp_path / "qrels.tsv").write_text(f"q1 0 owl 1\n{line}\n")
    with pytest.raises(CorpusError, match="line 2"):
        judged(tmp_path)


def test_judgments_of_other_queries_are_an_error(tmp_path: Path) -> None:
    write_collection(tmp_path)
    (tmp_path / "qrels.tsv").write_text("other 0 owl 1\n")
    with pytest.raises(CorpusError, match="judges none of the queries"):
        judged(tmp_path)
