"""Every stage as a Prefect task: retried where another try can succeed, and nowhere else."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff

from flows import opening
from flows.device import device
from models.opening import encoder_id, language_model_id, sparse_encoder_id, token_counter
from schemas.catalog import TABLES
from schemas.corpus import Corpus, RecipeSettings
from schemas.errors import CrawlError
from schemas.features import FEATURES
from tasks import (
    asking,
    checks,
    documents,
    duplicates,
    embeddings,
    files,
    given,
    passages,
    refreshing,
    sparse_embeddings,
    writing,
)
from tasks import crawl as crawling
from tasks.composition import composition_of
from tasks.orders import orders
from tasks.round_trip import judge_queries
from tasks.run import Run
from warehouse.milvus import follow_live


def _nobody_answered(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    """A crawl that reached nobody may reach somebody soon; a bad setting stays bad."""
    return isinstance(state.result(raise_on_failure=False), CrawlError)


# Rows stand in the tables: Prefect has nothing to cache or to persist.
@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    task_run_name="crawl-{run.corpus.name}-{run.ds}",
    retries=2,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=_nobody_answered,
)
def crawl(run: Run) -> None:
    """Fetch tonight's pages, where the corpus names a site."""
    if run.corpus.crawl is None:
        return
    with run.stage("crawl") as stage:
        crawling.crawl(stage, run.corpus.crawl)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="read-files-{run.corpus.name}-{run.ds}")
def read_files(run: Run) -> None:
    """Take in the pages that the corpus's files hold."""
    if run.corpus.warc:
        with run.stage("warc") as stage:
            files.read_archives(stage, run.corpus.warc)
    if run.corpus.folder:
        with run.stage("folder") as stage:
            files.read_folder(stage, run.corpus.folder)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="take-passages-{run.corpus.name}-{run.ds}")
def take_passages(run: Run) -> None:
    """Take in the passages that are given as they are."""
    if run.corpus.passages:
        with run.stage("passages") as stage:
            given.take_passages(stage, run.corpus.passages, token_counter(run.corpus.encoder))


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="extract-{run.corpus.name}-{run.ds}")
def extract(run: Run) -> None:
    """Make documents of pages."""
    with run.stage("extract") as stage:
        documents.extract(stage)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="deduplicate-{run.corpus.name}-{run.ds}")
def deduplicate(run: Run) -> None:
    """Find documents that repeat others."""
    if run.corpus.deduplicate.enabled:
        with run.stage("deduplicate") as stage:
            duplicates.deduplicate(stage)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="chunk-{run.corpus.name}-{run.ds}")
def chunk(run: Run) -> None:
    """Cut documents into passages."""
    settings = run.corpus.encoder
    with run.stage("chunk") as stage:
        open_encoder = partial(opening.encoder, settings, run.progress)
        passages.chunk(stage, open_encoder)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="ask-{run.corpus.name}-{run.ds}")
def ask(run: Run) -> None:
    """Take in the corpus's questions."""
    with run.stage("questions") as stage:
        asking.ask(stage)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="write-{run.corpus.name}-{run.ds}")
def write(run: Run, asked: Sequence[RecipeSettings]) -> None:
    """Run recipes: features, synthetic queries and contexts."""
    settings = run.corpus.language_model
    ordered = orders(run.corpus, asked, language_model_id(settings)) if asked else []
    if ordered:
        with device() as taking_turns:
            open_model = taking_turns(partial(opening.language_model, settings, run.progress))
            writing.write(run, ordered, open_model)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="embed-{run.corpus.name}-{run.ds}")
def embed(run: Run) -> None:
    """Give every distinct text its vector."""
    settings = run.corpus.encoder
    with run.stage("embed") as stage, device() as taking_turns:
        open_encoder = taking_turns(partial(opening.encoder, settings, run.progress))
        embeddings.embed(stage, encoder_id(settings), open_encoder, composition_of(run.corpus))


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="embed-sparsely-{run.corpus.name}-{run.ds}")
def embed_sparsely(run: Run) -> None:
    """Give every distinct text its sparse vector, where the corpus names a sparse encoder."""
    settings = run.corpus.sparse_encoder
    if settings:
        with run.stage("sparse") as stage, device() as taking_turns:
            open_encoder = taking_turns(partial(opening.sparse_encoder, settings, run.progress))
            composition = composition_of(run.corpus)
            sparse_embeddings.embed_sparsely(stage, sparse_encoder_id(settings), open_encoder, composition)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="build-{run.corpus.name}-{run.ds}")
def build(run: Run) -> str | None:
    """Build an index version, unless the live one has the same content."""
    with run.stage("index") as stage:
        sparse, composition = run.corpus.sparse_encoder, composition_of(run.corpus)
        vectors_id = composition.vectors_id(encoder_id(run.corpus.encoder))
        sparse_id = composition.vectors_id(sparse_encoder_id(sparse)) if sparse else None
        return refreshing.build(stage, vectors_id, feature_recipes(run.corpus), sparse_id, composition.late)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="round-trip-{run.corpus.name}-{run.ds}")
def round_trip(run: Run, built: str | None) -> None:
    """Judge synthetic queries by whether they find their own passage."""
    settings = run.corpus.encoder
    with run.stage("round_trip") as stage:
        bundle = partial(refreshing.built_or_live, run, built)
        judge_queries(stage, bundle, partial(opening.encoder, settings, run.progress))


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="gate-{run.corpus.name}-{run.ds}")
def gate(run: Run, built: str | None, *, force: bool = False) -> None:
    """Check the tables and the built version; a failing gate stops the flow here, unless an index is forced."""
    pages = opening.gate_pages(run.corpus)
    with run.stage("gate") as stage:
        checks.check_tables(stage, TABLES.values(), pages)
        if built:
            open_encoder = partial(opening.encoder, run.corpus.encoder, run.progress)
            refreshing.check(stage, built, open_encoder, pages, force=force)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="publish-{run.corpus.name}-{run.ds}")
def publish(run: Run, built: str | None) -> None:
    """Make the built version live."""
    with run.stage("publish") as stage:
        refreshing.publish(stage, built, encoder_id(run.corpus.encoder))


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="mirror-{run.corpus.name}-{run.ds}")
def mirror(run: Run) -> None:
    """Bring the corpus's Milvus into line with what is live, if it names one."""
    settings = run.corpus.milvus
    if settings is None:
        return
    with run.stage("milvus") as stage:
        open_milvus = partial(opening.milvus, run.corpus, settings)
        stage.ledger.rows_out = follow_live(run.corpus.indexes, run.corpus.index.keep, open_milvus)


def feature_recipes(corpus: Corpus) -> list[str]:
    """recipe_ids of the features that the corpus has written, and so of those its index carries."""
    ordered = orders(corpus, corpus.recipes, language_model_id(corpus.language_model)) if corpus.recipes else []
    return [order.recipe_id for order in ordered if order.table is FEATURES]
