"""Strategies of chunking side by side: where they cut, and what is found in the passages they make.

    python -m bench.chunking --data FOLDER --html FOLDER [--documents N] [--json]

The data is a BEIR folder whose judged questions are headings of Python's manual (its FAQ), and the HTML is that
manual as Sphinx builds it (Debian's package python3.11-doc). The headings that ask the questions are hidden, the
pages around them stay as they are. A question is found when one of the first ten passages lies in its answer by at
least half; how much of the answer stands in the first 1,000 tokens compares passages of different lengths fairly.
"""

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from bench.judged_manual import Answered, ManualPage, read_manual
from bench.report import Measured, print_measured
from models.encoder import Encoder
from models.opening import open_encoder, token_counter
from schemas.corpus import ChunkSettings, EncoderSettings
from schemas.passage import passage_text
from tasks.chunk import open_chunker
from tasks.chunking.chunker import Passage
from tasks.chunking.units import read_units
from warehouse.lexical import LexicalIndex, write_lexical
from warehouse.manifest import Parameters

STRATEGIES = {
    "structure": ChunkSettings(),
    "fixed": ChunkSettings(strategy="fixed"),
    "fixed, overlap 50": ChunkSettings(strategy="fixed", overlap_tokens=50),
    "recursive": ChunkSettings(strategy="recursive"),
    "semantic": ChunkSettings(strategy="semantic"),
}
OURS = "structure"
FIRST, READ_TOKENS, RANKED = 10, 1_000, 100
SENTENCE = re.compile(r"\S.*?(?:[.!?](?=\s)|\Z)", re.DOTALL)

Search = Callable[[str], Sequence[int]]
"""Numbers of passages for a question, best first."""


@dataclass(frozen=True)
class Cut:
    """Passages of some pages, and the page that each is of."""

    passages: list[Passage]
    pages: list[ManualPage]

    @property
    def texts(self) -> list[str]:
        """What models see of each passage."""
        return [
            passage_text(passage.heading_path, page.text[passage.start : passage.end])
            for passage, page in zip(self.passages, self.pages, strict=True)
        ]


def cut(pages: Sequence[ManualPage], chosen: ChunkSettings, encoder: Encoder) -> Cut:
    """Pages as passages."""
    chunker = open_chunker(chosen, token_counter(EncoderSettings()), lambda: encoder)
    made = [(passage, page) for page in pages for passage in chunker.passages(page.title, page.text)]
    return Cut([passage for passage, _ in made], [page for _, page in made])


def shape(made: Cut, pages: Sequence[ManualPage]) -> dict[str, float]:
    """How many passages, how long, and what they are cut through."""
    whole, sentences, structural, inner = 0, 0, 0, 0
    for page in pages:
        passages = [passage for passage, of in zip(made.passages, made.pages, strict=True) if of is page]
        spans = list(_sentences(page.text))
        sentences += len(spans)
        whole += sum(any(each.start <= start and end <= each.end for each in passages) for start, end in spans)
        starts = {unit.start for unit in read_units(page.text)}
        inner += max(0, len(passages) - 1)
        structural += sum(passage.start in starts for passage in passages[1:])
    return {
        "passages a page": len(made.passages) / len(pages),
        "tokens a passage": float(np.mean([passage.tokens for passage in made.passages])),
        "sentences cut, %": 100 * (1 - whole / sentences),
        "boundary precision, %": 100 * structural / max(1, inner),
    }


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    for unit in read_units(text):
        if unit.kind == "text":
            yield from (match.span() for match in SENTENCE.finditer(text, unit.start, unit.end))


def retrieval(made: Cut, pages: Sequence[ManualPage], name: str, search: Search) -> dict[str, float]:
    """Questions found, and how much of their answers is read, over all questions."""
    asked = [(page, answer) for page in pages for answer in page.answers]
    found, share = [], []
    for page, answer in asked:
        ranked = [int(number) for number in search(answer.question)]
        inside = [_inside(made.passages[number], answer) * (made.pages[number] is page) for number in ranked]
        lengths = [made.passages[number].end - made.passages[number].start for number in ranked]
        found.append(any(2 * common >= length for common, length in zip(inside[:FIRST], lengths, strict=False)))
        read = sum(total <= READ_TOKENS for total in accumulate(made.passages[number].tokens for number in ranked))
        share.append(_read([made.passages[number] for number in _of(made, page, ranked[:read])], answer))
    return {
        f"{name}: found in first {FIRST}, %": 100 * float(np.mean(found)),
        f"{name}: answer in {READ_TOKENS:,} tokens, %": 100 * float(np.mean(share)),
    }


def _of(made: Cut, page: ManualPage, numbers: Sequence[int]) -> list[int]:
    return [number for number in numbers if made.pages[number] is page]


def _inside(passage: Passage, answer: Answered) -> int:
    return max(0, min(passage.end, answer.end) - max(passage.start, answer.start))


def _read(passages: Sequence[Passage], answer: Answered) -> float:
    """Share of an answer's characters that are in one of the passages."""
    read = np.zeros(answer.end - answer.start, dtype=bool)
    for passage in passages:
        read[max(0, passage.start - answer.start) : max(0, passage.end - answer.start)] = True
    return float(read.mean())


def searches(made: Cut, encoder: Encoder, folder: Path) -> dict[str, Search]:
    """The product's own lexical index, and exact search by the encoder."""
    write_lexical(folder, made.texts, Parameters())
    lexical = LexicalIndex(folder, Parameters())
    vectors = encoder.encode(made.texts).vectors
    return {
        "BM25": lambda question: lexical.search(question, RANKED).numbers[0].tolist(),
        "dense": lambda question: np.argsort(-vectors @ encoder.encode_queries([question]).vectors[0])[
            :RANKED
        ].tolist(),
    }


def measure(pages: Sequence[ManualPage], encoder: Encoder) -> dict[str, dict[str, float]]:
    """Figures of every strategy over the same pages and questions."""
    figures: dict[str, dict[str, float]] = {}
    for strategy, chosen in STRATEGIES.items():
        made = cut(pages, chosen, encoder)
        figures[strategy] = shape(made, pages)
        with tempfile.TemporaryDirectory() as folder:
            for name, search in searches(made, encoder, Path(folder)).items():
                figures[strategy] |= retrieval(made, pages, name, search)
    return figures


def against(figures: dict[str, dict[str, float]]) -> list[Measured]:
    """Every figure of the default strategy beside that of each other one."""
    others = [name for name in figures if name != OURS]
    return [Measured(what, ours, figures[name][what], name) for what, ours in figures[OURS].items() for name in others]


def _table(figures: dict[str, dict[str, float]], pages: Sequence[ManualPage]) -> Table:
    questions = sum(len(page.answers) for page in pages)
    table = Table("measure", title=f"{len(pages)} pages, {questions} questions, at most 200 tokens a passage")
    for strategy in figures:
        table.add_column(strategy, justify="right")
    for what in figures[OURS]:
        table.add_row(what, *(f"{figures[strategy][what]:.1f}" for strategy in figures))
    return table


def main(
    data: Annotated[Path, typer.Option(help="BEIR folder with questions and judgments")],
    html: Annotated[Path, typer.Option(help="folder with the manual's pages")],
    documents: Annotated[int, typer.Option(help="pages, at least those with answers")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Compare strategies of chunking on a judged set."""
    pages = read_manual(data, html, documents)
    figures = measure(pages, open_encoder(EncoderSettings()))
    if as_json:
        print_measured(against(figures), as_json)
    else:
        Console().print(_table(figures, pages))


if __name__ == "__main__":
    typer.run(main)
