"""Documents: the readable text of a page."""

from datetime import date

import pyarrow as pa

from schemas.table import Table, column, none_where

DOCUMENTS = Table(
    name="documents",
    comment="One extracted page: title, language and Markdown text. Live while its page is there.",
    columns=(
        column("doc_id", pa.string(), "hash of the canonical URL"),
        column("url", pa.string(), "canonical URL"),
        column("title", pa.string(), "title, or the URL where the page has none"),
        column("language", pa.string(), "ISO 639-1 code, und when unknown"),
        column("text", pa.string(), "main content as Markdown"),
        column("canonical_url", pa.string(), "canonical URL that the page says it has", null=True),
        column("published_at", pa.date32(), "day of publication, as the page says", null=True),
        column("modified_at", pa.date32(), "day of the last change, as the page says", null=True),
        column("directives", pa.list_(pa.string()), "robots directives of page and headers, sorted", null=True),
        column("licence", pa.string(), "licence or rights, as the page says: an address or words", null=True),
        column("withheld", pa.bool_(), "true where noai is obeyed: no language model is sent the text", null=True),
        column("robots_tag", pa.string(), "X-Robots-Tag headers of the page it was extracted from", null=True),
        column("body_hash", pa.string(), "hash of the body it was extracted from"),
        column("extractor_id", pa.string(), "fingerprint of the extractor and its settings"),
        column("ds", pa.date32(), "logical date of the page it was extracted from"),
        column("live", pa.bool_(), "false once the page is gone or says noindex"),
        column("run_id", pa.string(), "run that wrote the row"),
    ),
    key=("doc_id",),
    live="live",
    expectations=(none_where("text_not_empty", "live and length(trim(text)) = 0", "a live document has text"),),
    example={
        "doc_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "url": "http://pydoc.localhost/bisect.html",
        "title": "Python: module bisect",
        "language": "en",
        "text": "# bisect\n\nBisection algorithms.",
        "canonical_url": "http://pydoc.localhost/bisect.html",
        "published_at": date(2026, 11, 20),
        "modified_at": date(2026, 11, 22),
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
