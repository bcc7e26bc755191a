"""Main content against trafilatura and resiliparse: F1 over segments, and pages per CPU second.

    python -m bench.extraction --data FOLDER [--pages N] [--json]

FOLDER holds `evaldata.json` and `html.tar.gz` of trafilatura's own evaluation, and segments count as they
do there. What is learned was learned on one half of the sites; the figures are for the other half.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import trafilatura
import typer
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree
from rich.console import Console
from rich.table import Table

from bench.gold_pages import GoldPage, Score, macro_f1, read_gold
from tasks.extraction.content import main_content
from tasks.extraction.markdown import render
from tasks.extraction.page import read_page
from tasks.extraction.parsing import decode
from tasks.extraction.roles import CONTENT_ROLES, roles

_REFERENCE = "trafilatura"


@dataclass
class Way:
    """One way from a body to text, and how it fared."""

    extract: Callable[[bytes], str | None]
    score: Score = field(default_factory=Score)
    seconds: float = 0.0
    pages: int = 0
    failures: int = 0

    def run(self, page: GoldPage) -> None:
        """Extract one page on the clock, and count its segments off it. A failure counts as no text."""
        start = time.process_time()
        try:
            text = self.extract(page.body) or ""
        except Exception:  # what a library raises on a page is its result
            text = ""
            self.failures += 1
        self.seconds += time.process_time() - start
        self.pages += 1
        self.score.add(page, text)

    @property
    def speed(self) -> float:
        """Pages per CPU second."""
        return self.pages / max(self.seconds, 1e-9)


def _trafilatura(body: bytes, *, fast: bool = False) -> str | None:
    options = {"include_comments": False, "include_tables": True, "include_formatting": False}
    text: str | None = trafilatura.extract(body, fast=fast, **options)
    return text


def _resiliparse(body: bytes) -> str:
    text: str = extract_plain_text(HTMLTree.parse(decode(body)), main_content=True)
    return text


def _ours(body: bytes, *, careful: bool = False) -> str:
    return render(main_content(read_page(body, None), careful=careful))


def _ways() -> dict[str, Way]:
    return {
        "fast": Way(_ours),
        "careful": Way(lambda body: _ours(body, careful=True)),
        _REFERENCE: Way(_trafilatura),
        "trafilatura fast": Way(lambda body: _trafilatura(body, fast=True)),
        "resiliparse": Way(_resiliparse),
    }


def measured(pages: Sequence[GoldPage]) -> dict[str, Way]:
    """Every way over every page, page by page, so that a slow minute of the machine slows all alike."""
    ways = _ways()
    for way in ways.values():  # imports and caches are not what is measured
        way.extract(pages[0].body)
    for page in pages:
        for way in ways.values():
            way.run(page)
    return ways


def role_f1(pages: Sequence[GoldPage]) -> float:
    """Macro F1 of content roles and outer roles, over blocks that hold wanted or unwanted segments but not both."""
    judged: list[tuple[bool, bool]] = []
    for gold in pages:
        page = read_page(gold.body, None)
        for block, role in zip(page.blocks, roles(page, main_content(page)), strict=True):
            content = gold.says(block.text)
            if content is not None:
                judged.append((content, role in CONTENT_ROLES))
    return macro_f1(judged)


def measures(ways: dict[str, Way]) -> list[dict[str, object]]:
    """One record a goal: ours, the reference, their ratio, and whether the goal is met."""
    reference = ways[_REFERENCE]
    records: list[dict[str, object]] = []
    for name, goal in (("fast", 0.92), ("careful", 0.935)):
        ours = ways[name].score.f1
        records.append(_record(f"{name} F1", ours, reference.score.f1, goal, met=ours >= goal))
    ratio = ways["fast"].speed / reference.speed
    records.append(_record("fast pages per CPU second", ways["fast"].speed, reference.speed, 2.5, met=ratio >= 2.5))
    return records


def _record(measure: str, ours: float, reference: float, goal: float, *, met: bool) -> dict[str, object]:
    figures = {"ours": round(ours, 4), "reference": round(reference, 4), "reference_name": _REFERENCE}
    return {"measure": measure, **figures, "ratio": round(ours / reference, 3), "goal": goal, "met": met}


def _table(ways: dict[str, Way], pages: int) -> Table:
    table = Table(title=f"Main content of {pages} pages that nothing was learned from")
    for column in ("way", "F1", "precision", "recall", "pages/CPU s", "times trafilatura", "failed"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for name, way in ways.items():
        figures = (f"{figure:.3f}" for figure in (way.score.f1, way.score.precision, way.score.recall))
        times = f"{way.speed / ways[_REFERENCE].speed:.2f}"
        table.add_row(name, *figures, f"{way.speed:.0f}", times, str(way.failures))
    return table


def main(
    data: Annotated[Path, typer.Option(help="folder with evaldata.json and html.tar.gz")],
    pages: Annotated[int, typer.Option(help="pages to measure; 0 for all that were not learned from")] = 0,
    json_lines: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Compare our fast and careful ways with trafilatura and resiliparse."""
    held_out = [page for page in read_gold(data) if not page.is_for_learning]
    measured_pages = held_out[: pages or None]
    ways = measured(measured_pages)
    if json_lines:
        for record in measures(ways):
            typer.echo(json.dumps(record))
    else:
        Console().print(_table(ways, len(measured_pages)))
        Console().print(f"Roles by rules: macro F1 {role_f1(measured_pages):.3f} of content against the rest")


if __name__ == "__main__":
    typer.run(main)
