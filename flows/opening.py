"""Opening a run: the one place that reads settings, starts Spark and loads models for the stages."""

import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

from flows.progress import progress_for_terminal
from models.encoder import Encoder, SparseEncoder
from models.language import LanguageModel
from models.opening import open_encoder, open_language_model, open_sparse_encoder
from schemas.catalog import TABLES
from schemas.corpus import (
    Corpus,
    EncoderSettings,
    LanguageModelSettings,
    MilvusSettings,
    SparseEncoderSettings,
    load_corpus,
)
from schemas.errors import SetupError
from schemas.pages import PAGES
from tasks.composition import check_encode
from tasks.run import Progress, Run
from tasks.selection import EVERYTHING, Selection
from warehouse.milvus import Milvus
from warehouse.session import open_session
from warehouse.tables import Warehouse

# Loaded models stay for the life of the process: vLLM alone takes most of a minute to load.
_language_models: dict[LanguageModelSettings, LanguageModel] = {}
_encoders: dict[EncoderSettings, Encoder] = {}
_sparse_encoders: dict[SparseEncoderSettings, SparseEncoder] = {}
_early: dict[str, Future[Warehouse]] = {}


@contextmanager
def open_run(corpus_name: str, ds: date | None, selection: Selection = EVERYTHING) -> Iterator[Run]:
    """A run over a corpus; its ledgers are written when it ends, however it ends.

    Args:
        corpus_name: name of a shipped corpus, or path of a corpus file.
        ds: logical date; today (UTC) when left out.
        selection: the part of the pending work that it does.
    """
    corpus = load_corpus(corpus_name)
    check_encode(corpus)
    progress = progress_for_terminal()
    progress.note("starting Spark")
    run = Run(open_warehouse(corpus), corpus, new_run_id(), ds or today(), progress, selection)
    try:
        yield run
    finally:
        run.record()


def open_early(corpus: Corpus) -> None:
    """Begin to open a corpus's tables beside whatever comes first: Spark and Prefect's API take ten seconds each.

    What goes wrong is raised by the `open_warehouse` that asks for the tables.
    """
    executor = ThreadPoolExecutor(1)
    _early[corpus.warehouse] = executor.submit(_opened_warehouse, corpus)
    executor.shutdown(wait=False)


def open_warehouse(corpus: Corpus) -> Warehouse:
    """The corpus's tables, through a Spark session that later calls share."""
    early = _early.pop(corpus.warehouse, None)
    return early.result() if early else Warehouse(open_session(corpus.spark), corpus.warehouse)


def _opened_warehouse(corpus: Corpus) -> Warehouse:
    warehouse = Warehouse(open_session(corpus.spark), corpus.warehouse)
    for table in TABLES.values():
        warehouse.ensure(table)
    # A JVM's first query takes as long as the ten after it, and every run begins with the pages.
    warehouse.version(PAGES)
    warehouse.arrow(PAGES, warehouse.read(PAGES).select("url").limit(1))
    return warehouse


def today() -> date:
    """The logical date of a night that is given none: the day (UTC) on which it begins."""
    return datetime.now(UTC).date()


def new_run_id() -> str:
    """Start time and four random digits: sorts by time, and two runs of one second differ."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def language_model(settings: LanguageModelSettings, progress: Progress) -> LanguageModel:
    """The language model, loaded on first use."""
    if settings not in _language_models:
        progress.note(f"loading {settings.model} with {settings.engine}; this takes up to a minute")
        _language_models[settings] = open_language_model(settings)
    return _language_models[settings]


def encoder(settings: EncoderSettings, progress: Progress) -> Encoder:
    """The encoder, loaded on first use."""
    if settings not in _encoders:
        progress.note(f"loading {settings.model} with {settings.engine}")
        _encoders[settings] = open_encoder(settings)
    return _encoders[settings]


def sparse_encoder(settings: SparseEncoderSettings, progress: Progress) -> SparseEncoder:
    """The sparse encoder, loaded on first use."""
    if settings not in _sparse_encoders:
        progress.note(f"loading {settings.model} with {settings.engine}")
        _sparse_encoders[settings] = open_sparse_encoder(settings)
    return _sparse_encoders[settings]


def sparse_encoder_of(corpus: Corpus, progress: Progress) -> Callable[[], SparseEncoder] | None:
    """What loads the corpus's sparse encoder on first use; None where it names none."""
    settings = corpus.sparse_encoder
    return partial(sparse_encoder, settings, progress) if settings else None


def milvus(corpus: Corpus, settings: MilvusSettings) -> Milvus:
    """The Milvus that follows the corpus' live index.

    Raises:
        SetupError: its token is not in the environment.
        BundleError: it does not answer.
    """
    token = os.environ.get(settings.token_variable, "") if settings.token_variable else ""
    if settings.token_variable and not token:
        raise SetupError(
            f"the environment variable {settings.token_variable} is not set",
            where=settings.uri,
            remedy="Set it to the token of Milvus",
        )
    return Milvus(settings.uri, f"{settings.prefix}_{corpus.name.replace('-', '_')}", token)


def gate_pages(corpus: Corpus) -> Path:
    """Folder of the gate results: beside the tables where these are local, else under data/."""
    root = Path(corpus.warehouse)
    return (root if "://" not in corpus.warehouse else Path("data") / corpus.name) / "gates"
