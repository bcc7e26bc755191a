"""Chunks from documents: passages that fit the encoder, keep their headings and survive edits next to them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from models.encoder import Encoder
from models.opening import open_encoder, token_counter
from models.tokens import TextTokenizer
from schemas.chunks import CHUNKS
from schemas.corpus import ChunkSettings, EncoderSettings
from schemas.errors import NightjarError
from schemas.hashing import digest, fingerprint, text_hash
from schemas.quarantine import Reason
from tasks.chunking.chunker import Chunker
from tasks.chunking.fixed import FixedChunker
from tasks.chunking.recursive import RecursiveChunker
from tasks.chunking.semantic import SemanticChunker
from tasks.chunking.structure import StructureChunker
from tasks.outcome import Outcome, Rejection, failure

CODE_VERSION = 2
"""Raised by every change that can change where chunks begin and end."""

DEFAULT_SIMILARITY = 0.4
"""Least cosine within a passage of strategy `semantic` where a corpus names none."""

COLUMNS = CHUNKS.unstamped
"""What `chunk_documents` hands back: a chunks row before the job stamps its run."""

INHERITED = ("doc_id", "url", "directives", "licence", "withheld", "body_hash", "extractor_id", "ds", "live")
"""Columns that a chunk has from its document as they are."""


def chunker_id(settings: ChunkSettings, tokenizer_fingerprint: str) -> str:
    """Fingerprint of all that decides where chunks begin and end, and how many tokens they count.

    Args:
        tokenizer_fingerprint: of the tokenizer that counts, or of the encoder whose vectors decide, too.
    """
    content = {"code": CODE_VERSION, "settings": _named(settings), "tokenizer": tokenizer_fingerprint}
    if settings.strategy == "recursive":
        content["library"] = f"semantic-text-splitter {version('semantic-text-splitter')}"
    return fingerprint(content)


def _named(settings: ChunkSettings) -> dict[str, Any]:
    """The settings that count: one that a corpus leaves alone can be added to the schema without cutting anew."""
    return {"max_tokens": settings.max_tokens} | settings.model_dump(mode="json", exclude_defaults=True)


def open_chunker(settings: ChunkSettings, tokenizer: TextTokenizer, open_encoder: Callable[[], Encoder]) -> Chunker:
    """The chunker that the settings name.

    Args:
        tokenizer: the encoder's own.
        open_encoder: called by the strategy that needs vectors, when it cuts its first document.
    """
    overlap = settings.overlap_tokens or 0
    if settings.strategy == "fixed":
        return FixedChunker(settings.max_tokens, tokenizer, overlap)
    if settings.strategy == "recursive":
        return RecursiveChunker(settings.max_tokens, tokenizer, overlap)
    if settings.strategy == "semantic":
        similarity = DEFAULT_SIMILARITY if settings.similarity is None else settings.similarity
        return SemanticChunker(settings.max_tokens, tokenizer, similarity, open_encoder)
    return StructureChunker(settings.max_tokens, tokenizer)


def chunk_documents(documents: pa.Table, chunker: Chunker, chunker_id: str) -> Outcome:
    """Cut every document into passages.

    For every chunk `document.text[start:end] == text`. Between chunks stands only white space and, where the
    strategy takes them out, headings that are in the heading path of the chunks below them. A chunk of a strategy
    with an overlap begins before the one before it ends.

    Args:
        documents: rows of the documents table.
        chunker: from `open_chunker`.
        chunker_id: of that chunker's settings.

    Returns:
        Rows of the chunks table without `run_id`, and the tokens that an encoder read; a rejection, keyed by
        `body_hash`, for every document that cannot be cut.
    """
    before = chunker.tokens_read
    made_by = {"chunker_id": chunker_id}
    rows: list[dict[str, Any]] = []
    rejections: list[Rejection] = []
    for document in documents.to_pylist():
        try:
            rows += [row | made_by for row in _rows(document, chunker)]
        except NightjarError:
            raise
        except Exception as error:  # one document's trouble is data, whatever it is
            rejections.append(failure(document["body_hash"], document["url"], Reason.CHUNKING_FAILED, error))
    table = pa.Table.from_pylist(rows, schema=COLUMNS)
    return Outcome(table, tuple(rejections), chunker.tokens_read - before)


def document_work(
    settings: Mapping[str, Any], encoder: Mapping[str, Any], chunker_id: str
) -> Callable[[pa.Table], Outcome]:
    """`chunk_documents` for a worker process, from the fields of `ChunkSettings` and `EncoderSettings`.

    Raises:
        SetupError: there is no such encoder.
        ModelError: it has no readable tokenizer.
    """
    encoding = EncoderSettings(**encoder)
    chunker = open_chunker(ChunkSettings(**settings), token_counter(encoding), partial(open_encoder, encoding))
    return partial(chunk_documents, chunker=chunker, chunker_id=chunker_id)


def _rows(document: Mapping[str, Any], chunker: Chunker) -> Iterator[dict[str, Any]]:
    seen: Counter[str] = Counter()
    for ordinal, passage in enumerate(chunker.passages(document["title"], document["text"])):
        text = document["text"][passage.start : passage.end]
        key = text_hash(passage.heading_path, text)
        yield {
            **{name: document[name] for name in INHERITED},
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
