"""What every strategy of chunking shares: a strategy says where to cut, and the loop here makes passages of it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from models.tokens import TextTokenizer
from schemas.passage import passage_text
from tasks.chunking.costs import TokenCosts
from tasks.chunking.outline import Outline, read_outline
from tasks.chunking.packing import Part, pack


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document, its headings and what both cost."""

    heading_path: tuple[str, ...]
    start: int
    end: int
    kind: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring parts of a document that are to be one passage, and the headings above them."""

    heading_path: tuple[str, ...]
    parts: list[Part]

    @property
    def start(self) -> int:
        return self.parts[0].start

    @property
    def end(self) -> int:
        return self.parts[-1].end


class Chunker(ABC):
    """Cuts documents.

    Args:
        max_tokens: most tokens of a passage with its heading path.
        tokenizer: the encoder's own.

    Attributes:
        tokens_read: tokens that an encoder read to say where to cut.
    """

    def __init__(self, max_tokens: int, tokenizer: TextTokenizer) -> None:
        self.costs = TokenCosts(tokenizer, max_tokens)
        self.tokens_read = 0

    @abstractmethod
    def runs(self, outline: Outline) -> Iterable[Run]:
        """Where this strategy cuts. A run that comes out too long is cut again."""

    def passages(self, title: str, text: str) -> list[Passage]:
        """Passages of a document in order. Each fits; every character but white space and headings is in one."""
        self.costs.forget()
        outline = read_outline(title, text, self.costs)
        runs = list(self.runs(outline)) if outline.sections else []
        self.costs.counted([_seen(outline, run) for run in runs])
        return [passage for run in runs for passage in self._measured(outline, run, self._budget(run))]

    def _budget(self, run: Run) -> int:
        return self.costs.budget(run.heading_path)

    def _measured(self, outline: Outline, run: Run, budget: int) -> Iterator[Passage]:
        """The run as a passage, or as several where its parts cost more together than one by one."""
        tokens = self.costs.counted([_seen(outline, run)])[0]
        smaller = budget - max(1, tokens - self.costs.max_tokens)
        if tokens <= self.costs.max_tokens or smaller < 1:
            yield Passage(run.heading_path, run.start, run.end, outline.kind(run.start, run.end), tokens)
            return
        for parts in pack(outline.text, run.parts, smaller, self.costs.cost):
            yield from self._measured(outline, Run(run.heading_path, parts), smaller)


def covered_once(passages: Iterable[Passage]) -> Iterator[tuple[int, int]]:
    """What each passage adds to those before it, as (start, end): overlaps are taken from the later one.

    The text between these stretches is white space, and headings where the strategy takes them out.
    """
    spans = [(passage.start, passage.end) for passage in passages]
    yield from spans[:1]
    for (_, before), (start, end) in pairwise(spans):
        yield max(start, before), end


def _seen(outline: Outline, run: Run) -> str:
    return passage_text(run.heading_path, outline.text[run.start : run.end])
