"""Chunks from documents: passages that fit the encoder, keep their headings and survive edits next to them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from models.opening import token_counter
from schemas.chunks import CHUNKS
from schemas.corpus import ChunkSettings, EncoderSettings
from schemas.errors import NightjarError
from schemas.hashing import digest, fingerprint, text_hash
from schemas.passage import passage_text
from schemas.quarantine import Reason
from tasks.chunking.packing import Part, pack
from tasks.chunking.sections import Section, read_sections
from tasks.chunking.units import Kind, Unit, read_units
from tasks.outcome import Outcome, Rejection

CODE_VERSION = 1
"""Raised by every change that can change where chunks begin and end."""

COLUMNS = pa.schema([field for field in CHUNKS.schema if field.name != "run_id"])
"""What `chunk_documents` hands back: a chunks row before the job stamps its run."""

CountTokens = Callable[[Sequence[str]], list[int]]
"""Tokens of each text as the encoder counts them, special tokens included."""

_INHERITED = ("doc_id", "url", "body_hash", "extractor_id", "ds", "live")
_KIND_OF_UNIT: dict[Kind, str] = {"heading": "text", "text": "text", "item": "list", "row": "table", "code": "code"}


def chunker_id(settings: ChunkSettings, tokenizer_fingerprint: str) -> str:
    """Fingerprint of all that decides where chunks begin and end, and how many tokens they count."""
    content = {"code": CODE_VERSION, "settings": settings.model_dump(mode="json"), "tokenizer": tokenizer_fingerprint}
    return fingerprint(content)


def chunk_documents(
    documents: pa.Table, settings: ChunkSettings, count_tokens: CountTokens, tokenizer_fingerprint: str
) -> Outcome:
    """Cut every document into passages.

    For every chunk `document.text[start:end] == text`. Between chunks stand only white space and headings
    that are in the heading path of the chunks below them.

    Args:
        documents: rows of the documents table.
        count_tokens: the encoder's own count; a passage with its heading path costs at most `max_tokens`.
        tokenizer_fingerprint: of what counts.

    Returns:
        Rows of the chunks table without `run_id`; a rejection, keyed by `body_hash`, for every document that
        cannot be cut.
    """
    chunker = Chunker(settings.max_tokens, count_tokens)
    made_by = {"chunker_id": chunker_id(settings, tokenizer_fingerprint)}
    rows: list[dict[str, Any]] = []
    rejections: list[Rejection] = []
    for document in documents.to_pylist():
        try:
            rows += [row | made_by for row in _rows(document, chunker)]
        except NightjarError:
            raise
        except Exception as error:  # one document's trouble is data, whatever it is
            reason = Reason.MEMORY_LIMIT if isinstance(error, MemoryError) else Reason.CHUNKING_FAILED
            detail = f"{document['url']}: {type(error).__name__}: {error}"
            rejections.append(Rejection(document["body_hash"], reason, detail))
    return Outcome(pa.Table.from_pylist(rows, schema=COLUMNS), tuple(rejections))


def document_work(
    settings: Mapping[str, Any], encoder: Mapping[str, Any], tokenizer_fingerprint: str
) -> Callable[[pa.Table], Outcome]:
    """`chunk_documents` for a worker process, from the fields of `ChunkSettings` and `EncoderSettings`.

    Raises:
        SetupError: there is no such encoder.
        ModelError: it has no readable tokenizer.
    """
    count = token_counter(EncoderSettings(**encoder)).count
    return partial(
        chunk_documents,
        settings=ChunkSettings(**settings),
        count_tokens=count,
        tokenizer_fingerprint=tokenizer_fingerprint,
    )


def _rows(document: Mapping[str, Any], chunker: "Chunker") -> Iterator[dict[str, Any]]:
    seen: Counter[str] = Counter()
    for ordinal, passage in enumerate(chunker.passages(document["title"], document["text"])):
        text = document["text"][passage.start : passage.end]
        key = text_hash(passage.heading_path, text)
        yield {
            **{name: document[name] for name in _INHERITED},
            "chunk_id": digest(document["doc_id"], key, str(seen[key])),
            "ordinal": ordinal,
            "heading_path": list(passage.heading_path),
            "text": text,
            "text_hash": key,
            "kind": passage.kind,
            "start": passage.start,
            "end": passage.end,
            "tokens": passage.tokens,
        }
        seen[key] += 1


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document, its headings and what both cost."""

    heading_path: tuple[str, ...]
    start: int
    end: int
    kind: str
    tokens: int


class Chunker:
    """Cuts documents by their structure.

    Args:
        max_tokens: most tokens of a passage with its heading path.
        count_tokens: see `CountTokens`. It is asked a document's questions together, because every
            call of a tokenizer costs more than a short text does.
    """

    def __init__(self, max_tokens: int, count_tokens: CountTokens) -> None:
        self._max_tokens = max_tokens
        self._count_tokens = count_tokens
        self._special_tokens = count_tokens([""])[0]
        # A path is context: half of the budget is the passage's own.
        self._longest_path = (max_tokens - self._special_tokens) // 2
        self._known: dict[str, int] = {}

    def passages(self, title: str, text: str) -> list[Passage]:
        """Passages of a document in order."""
        self._known = {}
        units = read_units(text)
        short_title = self._shortened(title)
        self._foresee(short_title, text, units)
        sections = read_sections(short_title, text, self._path_fits, units)
        runs = [(section.heading_path, run) for section in sections for run in self._runs(text, section)]
        self._counted([_run_text(text, path, run) for path, run in runs])
        return [passage for path, run in runs for passage in self._measured(text, path, run)]

    def _foresee(self, title: str, text: str, units: Sequence[Unit]) -> None:
        """Count what is sure to be asked for, in one call."""
        likely = read_sections(title, text, lambda _: True, units)
        paths = {passage_text(section.heading_path[:depth], "") for section in likely for depth in _depths(section)}
        self._counted([*paths, *(text[unit.start : unit.end] for unit in units)])

    def _counted(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens included."""
        unknown = list({text for text in texts if text not in self._known})
        if unknown:
            self._known.update(zip(unknown, self._count_tokens(unknown), strict=True))
        return [self._known[text] for text in texts]

    def _cost(self, texts: Sequence[str]) -> list[int]:
        return [count - self._special_tokens for count in self._counted(texts)]

    def _path_fits(self, path: Sequence[str]) -> bool:
        return self._cost([passage_text(path, "")])[0] <= self._longest_path

    def _shortened(self, title: str) -> str:
        while not self._path_fits([title]):
            title = title[: len(title) * 3 // 4].rstrip()
        return title

    def _budget(self, path: Sequence[str]) -> int:
        return self._max_tokens - self._counted([passage_text(path, "")])[0]

    def _runs(self, text: str, section: Section) -> Iterator[list[Part]]:
        parts = [Part(unit.kind, unit.start, unit.end) for unit in section.units]
        return pack(text, parts, self._budget(section.heading_path), self._cost)

    def _measured(
        self, text: str, path: tuple[str, ...], run: Sequence[Part], budget: int | None = None
    ) -> Iterator[Passage]:
        """The run as a passage, or as several where its parts cost more together than one by one."""
        tokens = self._counted([_run_text(text, path, run)])[0]
        smaller = (self._budget(path) if budget is None else budget) - max(1, tokens - self._max_tokens)
        if tokens <= self._max_tokens or smaller < 1:
            yield Passage(path, run[0].start, run[-1].end, _kind(run), tokens)
            return
        for smaller_run in pack(text, run, smaller, self._cost):
            yield from self._measured(text, path, smaller_run, smaller)


def _depths(section: Section) -> range:
    return range(1, len(section.heading_path) + 1)


def _run_text(text: str, path: tuple[str, ...], run: Sequence[Part]) -> str:
    return passage_text(path, text[run[0].start : run[-1].end])


def _kind(run: Sequence[Part]) -> str:
    characters: Counter[str] = Counter()
    for part in run:
        characters[_KIND_OF_UNIT[part.kind]] += part.end - part.start
    return characters.most_common(1)[0][0]
