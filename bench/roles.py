"""What a language model buys over the rules that give blocks their roles: macro F1 on trafilatura's gold set.

    python -m bench.roles --data FOLDER [--pages N] [--model NAME] [--json]

FOLDER holds `evaldata.json` and `html.tar.gz` of trafilatura's own evaluation. It annotates segments that belong
to a page's content and segments that do not. So it can tell content roles (title, body, table, code, list,
caption) from the others (nav, boilerplate, footer, form), and not one content role from another, nor a footer
from an advertisement. A block counts if it holds segments of one sort only; others, which are most of a page, do
not. Pages are those of sites that nothing was learned from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.gold_pages import GoldPage, macro_f1, read_gold
from bench.report import Measured, print_measured
from models.language import LanguageModel
from models.opening import open_language_model
from schemas.corpus import LanguageModelSettings
from tasks.extraction.content import main_content
from tasks.extraction.page import read_page
from tasks.extraction.role_prompts import INSTRUCTIONS, Surrounded, ask_roles, surrounded, vote
from tasks.extraction.roles import CONTENT_ROLES, Role, roles

RULES = "rules"


@dataclass(frozen=True)
class JudgedBlock:
    """A block that the gold set speaks of, and the role that the rules give it."""

    content: bool
    by_rules: Role
    element: Surrounded


def judged_blocks(gold: GoldPage) -> list[JudgedBlock]:
    """Blocks of a page that hold wanted segments or unwanted ones, but not both."""
    page = read_page(gold.body, None)
    return [
        JudgedBlock(content, role, element)
        for block, role, element in zip(
            page.blocks, roles(page, main_content(page)), surrounded(page.blocks), strict=True
        )
        if (content := gold.says(block.text)) is not None
    ]


def named_roles(blocks: Sequence[JudgedBlock], model: LanguageModel) -> dict[str, list[Role | None]]:
    """The role of each block by every way: rules, each prompt, their vote, and calling everything body."""
    cast = ask_roles(model, [block.element for block in blocks])
    ways: dict[str, list[Role | None]] = {RULES: [block.by_rules for block in blocks]}
    for number in range(len(INSTRUCTIONS)):
        ways[f"model, prompt {number + 1}"] = [votes[number] for votes in cast]
    ways["model, vote of all prompts"] = [vote(votes) for votes in cast]
    ways["everything is body"] = ["body"] * len(blocks)
    return ways


def score(blocks: Sequence[JudgedBlock], named: Sequence[Role | None]) -> float:
    """Macro F1 of content against the rest. Where a model gave no role it is counted as wrong."""
    pairs = zip(blocks, named, strict=True)
    return macro_f1(
        (block.content, not block.content if role is None else role in CONTENT_ROLES) for block, role in pairs
    )


def _table(blocks: Sequence[JudgedBlock], ways: dict[str, list[Role | None]], pages: int, model: str) -> Table:
    content = sum(block.content for block in blocks)
    title = f"{len(blocks)} blocks of {pages} pages, {content} of them content; model {model}"
    table = Table("roles by", "macro F1", "called content", "no role", title=title)
    for way, named in ways.items():
        called = sum(role in CONTENT_ROLES for role in named)
        table.add_row(way, f"{score(blocks, named):.3f}", str(called), str(named.count(None)))
    return table


def main(
    data: Annotated[Path, typer.Option(help="folder with evaldata.json and html.tar.gz")],
    pages: Annotated[int, typer.Option(help="pages to measure; 0 for all that were not learned from")] = 30,
    model: Annotated[str, typer.Option(help="prepared model, or a folder of one")] = "SmolLM2-135M-Instruct",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Compare roles by rules with roles by a language model."""
    held_out = [page for page in read_gold(data) if not page.is_for_learning][: pages or None]
    blocks = [block for page in held_out for block in judged_blocks(page)]
    ways = named_roles(blocks, open_language_model(LanguageModelSettings(model=model)))
    scores = {way: score(blocks, named) for way, named in ways.items()}
    if as_json:
        others = [way for way in ways if way != RULES]
        print_measured([Measured("macro F1 of roles", scores[RULES], scores[way], way) for way in others], as_json)
    else:
        Console().print(_table(blocks, ways, len(held_out), model))


if __name__ == "__main__":
    typer.run(main)
