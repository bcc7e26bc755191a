"""The writing stages: a language model describes passages and answers questions, recipe by recipe."""

from collections.abc import Callable, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.language import LanguageModel
from schemas.catalog import table_named
from schemas.chunks import CHUNKS
from schemas.contexts import CONTEXTS
from schemas.corpus import RecipeSettings
from schemas.errors import ModelError
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
    table = table_named(recipe.table)
    schema = ASKED if table is CONTEXTS else PASSAGES
    every = questions(stage) if table is CONTEXTS else passages(stage, asked.pages)
    sources = limited(every, schema.names[0], asked.limit)
    done = stage.read(table).where(F.col("recipe_id") == recipe_id)

    def work(batch: pa.Table) -> Outcome:
        return write_batch(recipe, recipe_id, open_model(), batch)

    def commit(outcome: Outcome) -> int:
        return stage.append(table, outcome.rows)

    labour = InThisProcess(work, schema, SOURCES_PER_COMMIT)
    job = Job(recipe_id, SOURCE_KEYS[recipe.table], labour, commit, SOURCES_PER_COMMIT, "sources")
    run_job(stage, job, sources, done, [schema.names[0]])
    _refuse_too_many_failures(stage, recipe)


def passages(stage: Stage, pages: Sequence[str]) -> DataFrame:
    """Distinct texts of live chunks that are not withheld: pages with the same paragraph share its model work.

    Args:
        pages: regular expressions; only chunks of pages whose URL matches one are taken, if there are any.
    """
    live = stage.read(CHUNKS).where("live AND NOT coalesce(withheld, false)")
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
