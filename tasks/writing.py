"""The writing stages: a language model describes passages and answers questions, recipe by recipe."""

from collections.abc import Callable, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.language import LanguageModel
from schemas.catalog import table_named
from schemas.chunks import CHUNKS, SHOWN_TO_MODELS
from schemas.contexts import CONTEXTS
from schemas.corpus import RecipeSettings
from schemas.errors import ModelError
from schemas.features import FEATURES
from schemas.hashing import digest, normalise
from schemas.questions import QUESTIONS
from tasks.generate import SOURCE_KEYS, write_batch
from tasks.job import Job, run_job
from tasks.labour import InThisProcess
from tasks.outcome import Outcome
from tasks.recipes import Recipe
from tasks.run import Stage

PASSAGES = pa.schema([CHUNKS.schema.field(name) for name in ("text_hash", "heading_path", "text")])
ASKED = pa.schema([QUESTIONS.schema.field(name) for name in ("question_id", "question")])
SOURCES_PER_COMMIT = 16


def ask(stage: Stage) -> None:
    """Bring `questions` up to the corpus file; questions it no longer has are no longer live."""
    wanted = {digest(normalise(question)): question for question in stage.run.corpus.questions}
    stored = stage.read(QUESTIONS).where("live AND source = 'corpus'").select("question_id")
    known = set(stage.run.warehouse.arrow(QUESTIONS, stored)["question_id"].to_pylist())
    stage.ledger.rows_in = len(wanted)
    stage.ledger.skipped = len(wanted.keys() & known)
    if wanted.keys() == known:
        return
    rows = [{"question_id": key, "question": text, "source": "corpus", "live": True} for key, text in wanted.items()]
    schema = pa.schema([field for field in QUESTIONS.schema if field.name != "run_id"])
    merged = stage.merge(QUESTIONS, pa.Table.from_pylist(rows, schema=schema), vanish={"source": ["corpus"]})
    stage.ledger.rows_out = merged.inserted + merged.updated


def write(
    stage: Stage, recipe: Recipe, recipe_id: str, asked: RecipeSettings, open_model: Callable[[], LanguageModel]
) -> None:
    """Run one recipe over the sources it has no rows for.

    Args:
        open_model: called only when there is something to write.

    Raises:
        ModelError: more sources failed than the recipe allows; the rows of the others are committed.
    """
    run_job(stage, writing(stage, recipe, recipe_id, asked, open_model))
    _refuse_too_many_failures(stage, recipe)


def writing(
    stage: Stage, recipe: Recipe, recipe_id: str, asked: RecipeSettings, open_model: Callable[[], LanguageModel]
) -> Job:
    """Passages or questions in, rows of the recipe's table out; see `write`."""
    table, key = table_named(recipe.table), SOURCE_KEYS[recipe.table]
    schema = ASKED if table is CONTEXTS else PASSAGES
    written = stage.read(table)

    def work(batch: pa.Table) -> Outcome:
        return write_batch(recipe, recipe_id, open_model(), batch)

    def commit(outcome: Outcome) -> int:
        return stage.append(table, outcome.rows)

    return Job(
        producer_id=recipe_id,
        source_key=key,
        sources=covered(stage, recipe, asked),
        results=written.where(F.col("feature") == recipe.name) if table is FEATURES else written,
        done=written.where(F.col("recipe_id") == recipe_id),
        key=(key,),
        labour=InThisProcess(work, schema, SOURCES_PER_COMMIT),
        commit=commit,
        commit_rows=SOURCES_PER_COMMIT,
        unit="sources",
    )


def covered(stage: Stage, recipe: Recipe, asked: RecipeSettings) -> DataFrame:
    """The sources that a recipe is run over: those the corpus file asks for, and of them those the run selects."""
    selection = stage.run.selection
    if recipe.table == CONTEXTS.name:
        return selection.of(limited(questions(stage), "question_id", asked.limit))
    sources = limited(passages(stage, asked.pages), "text_hash", asked.limit)
    if not (selection.dated or selection.where):
        return sources
    # A text may stand in several chunks: it is meant if one of them is.
    return sources.join(selection.of(given_chunks(stage)), "text_hash", "left_semi")


def given_chunks(stage: Stage) -> DataFrame:
    """Live chunks whose text language models may be sent."""
    return stage.read(CHUNKS).where(SHOWN_TO_MODELS)


def passages(stage: Stage, pages: Sequence[str]) -> DataFrame:
    """Distinct texts of live chunks that are not withheld: pages with the same paragraph share its model work.

    Args:
        pages: regular expressions; only chunks of pages whose URL matches one are taken, if there are any.
    """
    live = given_chunks(stage)
    if pages:
        live = live.where(F.col("url").rlike("|".join(f"(?:{pattern})" for pattern in pages)))
    return live.select(*PASSAGES.names).dropDuplicates(["text_hash"])


def questions(stage: Stage) -> DataFrame:
    return stage.read(QUESTIONS).where("live").select(*ASKED.names)


def limited(sources: DataFrame, key: str, limit: int | None) -> DataFrame:
    """The first `limit` sources by key: keys are hashes, so this is a sample that stays as the corpus grows."""
    return sources if limit is None else sources.orderBy(key).limit(limit)


def _refuse_too_many_failures(stage: Stage, recipe: Recipe) -> None:
    ledger = stage.ledger
    worked = ledger.rows_in - ledger.skipped
    if worked and ledger.quarantined / worked > recipe.max_failure_rate:
        raise ModelError(
            f"{ledger.quarantined} of {worked} sources gave no usable output, more than the "
            f"{recipe.max_failure_rate:.0%} that recipe {recipe.name!r} allows",
            where=ledger.stage,
            left_behind="The others are committed, the failed ones are in quarantine with their reasons",
            remedy=f"Look at table quarantine where stage = '{ledger.stage}', then mend the recipe",
        )
