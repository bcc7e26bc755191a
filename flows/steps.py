"""Every stage as a Prefect task: retried where another try can succeed, and nowhere else."""

from functools import partial
from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff

from flows import opening
from flows.device import device
from models.opening import encoder_id, language_model_id, token_counter
from schemas.catalog import TABLES
from schemas.corpus import Corpus, RecipeSettings
from schemas.errors import CrawlError
from schemas.features import FEATURES
from tasks import checks, documents, duplicates, embeddings, files, given, passages, refreshing, writing
from tasks import crawl as crawling
from tasks.recipes import load_recipe, recipe_id
from tasks.round_trip import judge_queries
from tasks.run import Run


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
        passages.chunk(stage, encoder_id(settings), open_encoder)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="ask-{run.corpus.name}-{run.ds}")
def ask(run: Run) -> None:
    """Take in the corpus's questions."""
    with run.stage("questions") as stage:
        writing.ask(stage)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="write-{asked.name}-{run.corpus.name}-{run.ds}")
def write(run: Run, asked: RecipeSettings) -> None:
    """Run one recipe: features, synthetic queries or contexts."""
    recipe = load_recipe(asked.name, run.corpus.recipe_folders)
    settings = run.corpus.language_model
    with run.stage(f"{recipe.table}:{recipe.name}") as stage, device() as taking_turns:
        identity = recipe_id(recipe, language_model_id(settings))
        open_model = taking_turns(partial(opening.language_model, settings, run.progress))
        writing.write(stage, recipe, identity, asked, open_model)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="embed-{run.corpus.name}-{run.ds}")
def embed(run: Run) -> None:
    """Give every distinct text its vector."""
    settings = run.corpus.encoder
    with run.stage("embed") as stage, device() as taking_turns:
        open_encoder = taking_turns(partial(opening.encoder, settings, run.progress))
        embeddings.embed(stage, encoder_id(settings), open_encoder)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="build-{run.corpus.name}-{run.ds}")
def build(run: Run) -> str | None:
    """Build an index version, unless the live one has the same content."""
    with run.stage("index") as stage:
        return refreshing.build(stage, encoder_id(run.corpus.encoder), feature_recipes(run.corpus))


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="round-trip-{run.corpus.name}-{run.ds}")
def round_trip(run: Run, built: str | None) -> None:
    """Judge synthetic queries by whether they find their own passage."""
    settings = run.corpus.encoder
    with run.stage("round_trip") as stage:
        bundle = partial(refreshing.built_or_live, run, built)
        judge_queries(stage, bundle, partial(opening.encoder, settings, run.progress))


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="gate-{run.corpus.name}-{run.ds}")
def gate(run: Run, built: str | None) -> None:
    """Check the tables and the built version; a failing gate stops the flow here."""
    pages = opening.gate_pages(run.corpus)
    with run.stage("gate") as stage:
        checks.check_tables(stage, TABLES.values(), pages)
        if built:
            refreshing.check(stage, built, encoder_id(run.corpus.encoder), pages)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="publish-{run.corpus.name}-{run.ds}")
def publish(run: Run, built: str | None) -> None:
    """Make the built version live."""
    with run.stage("publish") as stage:
        refreshing.publish(stage, built)


def feature_recipes(corpus: Corpus) -> list[str]:
    """recipe_ids of the features that the corpus has written, and so of those its index carries."""
    model = language_model_id(corpus.language_model)
    recipes = [load_recipe(asked.name, corpus.recipe_folders) for asked in corpus.recipes]
    return [recipe_id(recipe, model) for recipe in recipes if recipe.table == FEATURES.name]
