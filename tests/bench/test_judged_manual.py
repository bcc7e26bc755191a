"""Questions are hidden where they would be found by their own words."""

import json
from pathlib import Path

import pytest

from bench.judged_manual import hide_questions, read_manual
from schemas.errors import SetupError

QUESTION = "Do moths fly?"
PAGE = f"<title>Moths</title><h1>Moths</h1><ul><li>{QUESTION}</li></ul><h2>{QUESTION}</h2><p>At night.</p><p>Yes.</p>"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "queries.jsonl").write_text(json.dumps({"_id": "q1", "text": "Do moths  fly?"}))
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tfaq/moths.html#fly\t1\n")
    return tmp_path


def test_an_answer_ends_at_the_next_heading_as_high() -> None:
    text, (answer,) = hide_questions("# A\n\n## Why?\u00b6\n\nyes\n\n### Deeper\n\nso\n\n## B\n\nno", ["Why?"])
    assert text == "# A\n\n## Question\n\nyes\n\n### Deeper\n\nso\n\n## B\n\nno"
    assert text[answer.start : answer.end].split("\n\n") == ["", "yes", "### Deeper", "so", ""]


def test_pages_with_answers_come_first(data: Path, tmp_path: Path) -> None:
    html = tmp_path / "html"
    (html / "faq").mkdir(parents=True)
    (html / "faq" / "moths.html").write_text(PAGE)
    (html / "about.html").write_text("<h1>About</h1><p>Nothing.</p>")
    moths, about = read_manual(data, html, 2)
    assert (moths.name, about.name, about.answers) == ("faq/moths.html", "about.html", [])
    assert moths.text == "# Moths\n\n## Question\n\nAt night.\n\nYes."
    assert [answer.question for answer in moths.answers] == ["Do moths  fly?"]


def test_a_missing_page_is_one_line(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="a judged page is missing"):
        read_manual(data, tmp_path, 2)
