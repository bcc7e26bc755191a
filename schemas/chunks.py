"""Chunks: the passages that are described, embedded and searched."""

from datetime import date

import pyarrow as pa

from schemas.passage import GIVEN
from schemas.table import Expectation, Table, column, none_where

KINDS = ("text", "table", "code", "list")

SHOWN_TO_MODELS = "live AND NOT coalesce(withheld, false)"
"""SQL: chunks whose text language models may be sent."""

CHUNKS = Table(
    name="chunks",
    comment="One passage of a document. Live while its document has it.",
    columns=(
        column("chunk_id", pa.string(), "hash of document, text_hash and how often that text came before in it"),
        column("doc_id", pa.string(), "document it belongs to"),
        column("url", pa.string(), "canonical URL of the document"),
        column("ordinal", pa.int32(), "position in the document, from 0"),
        column("heading_path", pa.list_(pa.string()), "document title, then the headings above the passage"),
        column("text", pa.string(), "the passage: document text from start to end"),
        column("text_hash", pa.string(), "hash of the normalised text that models see, heading path included"),
        column("kind", pa.string(), "text, table, code or list"),
        column(
            "start",
            pa.int32(),
            "first character in the document text; before the last chunk's end where they overlap",
        ),
        column("end", pa.int32(), "one past the last character in the document text"),
        column("tokens", pa.int32(), "tokens of heading path and text in the encoder's tokenizer"),
        column("chunker_id", pa.string(), "fingerprint of the chunker and its settings"),
        column("directives", pa.list_(pa.string()), "robots directives of the document", null=True),
        column("licence", pa.string(), "licence or rights of the document, as its page says", null=True),
        column("withheld", pa.bool_(), "true where noai is obeyed: no language model is sent the text", null=True),
        column("body_hash", pa.string(), "hash of the page body the document was extracted from"),
        column("extractor_id", pa.string(), "extractor of the document it was cut from"),
        column("ds", pa.date32(), "logical date of the page it came from"),
        column("live", pa.bool_(), "false once its document no longer has it"),
        column("run_id", pa.string(), "run that wrote the row"),
    ),
    key=("chunk_id",),
    live="live",
    expectations=(
        none_where("text_not_empty", "live and length(trim(text)) = 0", "a live chunk has text"),
        none_where("offsets_ordered", "start < 0 or end <= start", "offsets enclose at least one character"),
        none_where("kind_known", f"kind not in {KINDS}", "kind is one of the known ones"),
        Expectation(
            "tokens_at_most",
            f"max(if(chunker_id = '{GIVEN}', 0, tokens))",
            maximum=512,
            meaning="a chunk that was cut fits an encoder's window",
        ),
    ),
    example={
        "chunk_id": "5e884898da28047151d0e56f8dc62927",
        "doc_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "url": "http://pydoc.localhost/bisect.html",
        "ordinal": 0,
        "heading_path": ["Python: module bisect", "bisect"],
        "text": "Bisection algorithms.",
        "text_hash": "2cf24dba5fb0a30e26e83b2ac5b9e29e",
        "kind": "text",
        "start": 10,
        "end": 31,
        "tokens": 12,
        "chunker_id": "486ea46224d1bb4fb680f34f7c9ad96a",
        "directives": ["noarchive"],
        "licence": "https://docs.python.org/3/license.html",
        "withheld": False,
        "body_hash": "3a7bd3e2360a3d29eea436fcfb7e44c7",
        "extractor_id": "9d5ed678fe57bcca610140957afab571",
        "ds": date(2026, 11, 23),
        "live": True,
        "run_id": "20261123T020000-3f9a",
    },
)
