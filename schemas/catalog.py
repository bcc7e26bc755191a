"""Every declared table, in the order data flows through them."""

from schemas.chunks import CHUNKS
from schemas.contexts import CONTEXTS
from schemas.documents import DOCUMENTS
from schemas.embeddings import EMBEDDINGS
from schemas.errors import UnknownName
from schemas.features import FEATURES
from schemas.indexes import INDEXES
from schemas.metrics import METRICS
from schemas.pages import PAGES
from schemas.quarantine import QUARANTINE
from schemas.questions import QUESTIONS
from schemas.rankings import RANKINGS
from schemas.runs import RUNS
from schemas.signatures import SIGNATURES
from schemas.sparse_embeddings import SPARSE_EMBEDDINGS
from schemas.synthetic_queries import SYNTHETIC_QUERIES
from schemas.table import Table

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        PAGES,
        DOCUMENTS,
        SIGNATURES,
        CHUNKS,
        FEATURES,
        SYNTHETIC_QUERIES,
        QUESTIONS,
        CONTEXTS,
        EMBEDDINGS,
        SPARSE_EMBEDDINGS,
        INDEXES,
        RANKINGS,
        METRICS,
        QUARANTINE,
        RUNS,
    )
}


def table_named(name: str) -> Table:
    """The declared table of that name.

    Raises:
        UnknownName: there is none; the message lists those there are.
    """
    if name not in TABLES:
        raise UnknownName("table", name, TABLES)
    return TABLES[name]
