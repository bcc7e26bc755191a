"""Every stage as a Prefect task: retried where another try can succeed, and nowhere else."""

from functools import partial
from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff

from flows import opening
from models.opening import encoder_id, language_model_id, token_counter
from schemas.catalog import TABLES
from schemas.corpus import RecipeSettings
from schemas.errors import CrawlError
from tasks import checks, documents, embeddings, passages, refreshing, writing
from tasks import crawl as crawling
from tasks.recipes import load_recipe, recipe_id
from tasks.run import Run


def _nobody_answered(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    """A crawl that reached nobody may reach somebody soon; a bad setting stays bad."""
    return isinstance(state.result(raise_on_failure=False), CrawlError)


# Rows stand in the tables: Prefect has nothing to cache or to persist.
@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=_nobody_answered,
)
def crawl(run: Run) -> None:
    """Fetch tonight's pages."""
    with run.stage("crawl") as stage:
        crawling.crawl(stage)


@task(cache_policy=NO_CACHE, persist_result=False)
def extract(run: Run) -> None:
    """Make documents of pages."""
    with run.stage("extract") as stage:
        documents.extract(stage)


@task(cache_policy=NO_CACHE, persist_result=False)
def chunk(run: Run) -> None:
    """Cut documents into passages."""
    settings = run.corpus.encoder
    with run.stage("chunk") as stage:
        passages.chunk(stage, encoder_id(settings), token_counter(settings))


@task(cache_policy=NO_CACHE, persist_result=False)
def ask(run: Run) -> None:
    """Take in the corpus's questions."""
    with run.stage("questions") as stage:
        writing.ask(stage)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="write-{asked.name}")
def write(run: Run, asked: RecipeSettings) -> None:
    """Run one recipe: features, synthetic queries or contexts."""
    recipe = load_recipe(asked.name)
    settings = run.corpus.language_model
    with run.stage(f"{recipe.table}:{recipe.name}") as stage:
        identity = recipe_id(recipe, language_model_id(settings))
        writing.write(stage, recipe, identity, asked, partial(opening.language_model, settings, run.progress))


@task(cache_policy=NO_CACHE, persist_result=False)
def embed(run: Run) -> None:
    """Give every distinct text its vector."""
    settings = run.corpus.encoder
    with run.stage("embed") as stage:
        embeddings.embed(stage, encoder_id(settings), partial(opening.encoder, settings, run.progress))


@task(cache_policy=NO_CACHE, persist_result=False)
def gate(run: Run) -> None:
    """Check the tables; a failing gate stops the flow before the refresh."""
    with run.stage("gate") as stage:
        checks.check_tables(stage, TABLES.values(), opening.gate_pages(run.corpus))


@task(cache_policy=NO_CACHE, persist_result=False)
def refresh(run: Run) -> None:
    """Build, check and publish an index version where the tables have moved."""
    settings = run.corpus.encoder
    with run.stage("index") as stage:
        refreshing.refresh(stage, encoder_id(settings), opening.gate_pages(run.corpus))


@task(cache_policy=NO_CACHE, persist_result=False)
def round_trip(run: Run) -> None:
    """Judge synthetic queries by whether they find their own passage."""
    settings = run.corpus.encoder
    with run.stage("round_trip") as stage:
        refreshing.round_trip(stage, partial(opening.encoder, settings, run.progress))
