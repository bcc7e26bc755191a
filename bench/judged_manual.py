"""Python's manual as a judged set: questions people ask of it, and where in which page each is answered."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import SetupError
from schemas.hashing import normalise
from tasks.chunking.units import Unit, read_units
from tasks.extraction.markdown import render
from tasks.extraction.page import read_page

HIDDEN = "Question"


@dataclass(frozen=True)
class Answered:
    """A question, and the stretch of a page's text that answers it."""

    question: str
    start: int
    end: int


@dataclass(frozen=True)
class ManualPage:
    """A page with the questions it answers: all of its blocks, so that nothing but chunking is measured, less the
    entries of its table of contents that are questions.
    """

    name: str
    title: str
    text: str
    answers: list[Answered]


def read_manual(data: Path, html: Path, documents: int) -> list[ManualPage]:
    """Pages with answers first, then others in the order of their names.

    Args:
        data: folder with `queries.jsonl` and `qrels/test.tsv`, whose ids are PAGE#SECTION.
        html: folder with those pages.
        documents: how many pages; those with answers are always among them.

    Raises:
        SetupError: a page that is judged is not in the folder.
    """
    questions = _questions(data)
    others = sorted(path.relative_to(html).as_posix() for path in html.rglob("*.html"))
    others = [name for name in others if name not in questions and not name.startswith(("genindex", "search"))]
    names = [*sorted(questions), *others[:: max(1, len(others) // max(1, documents - len(questions)))]]
    return [_page(html, name, questions.get(name, [])) for name in names[: max(documents, len(questions))]]


def _questions(data: Path) -> dict[str, list[str]]:
    """Judged questions by the page that answers them."""
    with (data / "queries.jsonl").open(encoding="utf-8") as file:
        texts = {query["_id"]: query["text"] for query in map(json.loads, file)}
    by_page: dict[str, list[str]] = {}
    with (data / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            by_page.setdefault(row["corpus-id"].split("#")[0], []).append(texts[row["query-id"]])
    return by_page


def _page(html: Path, name: str, questions: list[str]) -> ManualPage:
    path = html / name
    if not path.is_file():
        raise SetupError("a judged page is missing", where=str(path), remedy="Give the manual's folder with --html")
    page = read_page(path.read_bytes(), None)
    asked = {normalise(question) for question in questions}
    blocks = [block for block in page.blocks if block.kind == "heading" or normalise(block.text) not in asked]
    text, answers = hide_questions(render(blocks), questions)
    return ManualPage(name, page.title, text, answers)


def hide_questions(text: str, questions: list[str]) -> tuple[str, list[Answered]]:
    """Call every heading that asks one of the questions "Question", lest it be found by its own words.

    Returns:
        The text, and for every question that is a heading the stretch below it, up to the next heading as high.
    """
    asked = {normalise(question): question for question in questions}
    found: list[tuple[str, int]] = []
    parts: list[str] = []
    position = 0
    for unit in read_units(text):
        question = asked.get(_name(text, unit)) if unit.kind == "heading" else None
        if question:
            parts += [text[position : unit.start], f"{'#' * unit.level} {HIDDEN}"]
            position = unit.end
            found.append((question, sum(map(len, parts))))
    hidden = "".join([*parts, text[position:]])
    return hidden, [Answered(question, start, _end(hidden, start)) for question, start in found]


def _name(text: str, heading: Unit) -> str:
    return normalise(text[heading.start : heading.end].lstrip("#").rstrip("\u00b6"))  # Sphinx ends a heading so


def _end(text: str, after: int) -> int:
    """Where the section whose heading ends at `after` ends."""
    headings = [unit for unit in read_units(text) if unit.kind == "heading"]
    level = next(unit.level for unit in headings if unit.end == after)
    return next((unit.start for unit in headings if unit.start >= after and unit.level <= level), len(text))
