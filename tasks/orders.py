"""Recipes as a corpus orders them: which sources each is run over, and which of them it has rows for."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.catalog import table_named
from schemas.chunks import CHUNKS, SHOWN_TO_MODELS
from schemas.contexts import CONTEXTS
from schemas.corpus import Corpus, RecipeSettings
from schemas.features import FEATURES
from schemas.questions import QUESTIONS
from schemas.table import Table
from tasks.job import Backlog
from tasks.recipes import Recipe, load_recipe, recipe_id
from tasks.run import Stage
from tasks.written import SOURCE_KEYS
from tasks.written_about import Read

PASSAGES = pa.schema([CHUNKS.schema.field(name) for name in ("text_hash", "heading_path", "text")])
ASKED = pa.schema([QUESTIONS.schema.field(name) for name in ("question_id", "question")])


@dataclass(frozen=True)
class Order:
    """One recipe as a corpus asks for it.

    Attributes:
        recipe_id: of the recipe with the model that writes.
        asked: which sources it is run over.
    """

    recipe: Recipe
    recipe_id: str
    model_id: str
    asked: RecipeSettings

    @property
    def stage(self) -> str:
        """Name of its stage."""
        return f"{self.recipe.table}:{self.recipe.name}"

    @property
    def table(self) -> Table:
        """Where its rows go."""
        return table_named(self.recipe.table)

    @property
    def sources(self) -> pa.Schema:
        """Columns of its sources, the key first."""
        return ASKED if self.table is CONTEXTS else PASSAGES


def orders(corpus: Corpus, asked: Sequence[RecipeSettings], model_id: str) -> list[Order]:
    """The recipes that a corpus asks for, as its language model runs them.

    Raises:
        UnknownName: there is no such recipe.
        CorpusError: its file says something that does not fit.
    """
    recipes = [load_recipe(each.name, corpus.recipe_folders) for each in asked]
    named = zip(recipes, asked, strict=True)
    return [Order(recipe, recipe_id(recipe, model_id), model_id, settings) for recipe, settings in named]


def backlog(stage: Stage, order: Order) -> Backlog:
    """The sources that a recipe is run over, and those that it has rows for."""
    key, written = SOURCE_KEYS[order.recipe.table], stage.read(order.table)
    return Backlog(
        producer_id=order.recipe_id,
        source_key=key,
        sources=covered(stage, order),
        results=written.where(F.col("feature") == order.recipe.name) if order.table is FEATURES else written,
        done=written.where(F.col("recipe_id") == order.recipe_id),
        key=(key,),
    )


def covered(stage: Stage, order: Order) -> DataFrame:
    """The sources that a recipe is run over: those the corpus file asks for, and of them those the run selects."""
    selection, asked = stage.run.selection, order.asked
    if order.table is CONTEXTS:
        return selection.of(limited(questions(stage), "question_id", asked.limit))
    sources = limited(passages(stage, asked.pages), "text_hash", asked.limit)
    if not (selection.dated or selection.where):
        return sources
    # A text may stand in several chunks: it is meant if one of them is.
    return sources.join(selection.of(given_chunks(stage.read)), "text_hash", "left_semi")


def every_source(stage: Stage, order: Order) -> DataFrame:
    """All sources of its kind, whatever it is run over."""
    return questions(stage) if order.table is CONTEXTS else passages(stage, ())


def given_chunks(read: Read) -> DataFrame:
    """Live chunks whose text language models may be sent."""
    return read(CHUNKS).where(SHOWN_TO_MODELS)


def passages(stage: Stage, pages: Sequence[str]) -> DataFrame:
    """Distinct texts of live chunks that are not withheld: pages with the same paragraph share its model work.

    Args:
        pages: regular expressions; only chunks of pages whose URL matches one are taken, if there are any.
    """
    live = given_chunks(stage.read)
    if pages:
        live = live.where(F.col("url").rlike("|".join(f"(?:{pattern})" for pattern in pages)))
    return live.select(*PASSAGES.names).dropDuplicates(["text_hash"])


def questions(stage: Stage) -> DataFrame:
    """Live questions."""
    return stage.read(QUESTIONS).where("live").select(*ASKED.names)


def limited(sources: DataFrame, key: str, limit: int | None) -> DataFrame:
    """The first `limit` sources by key: keys are hashes, so this is a sample that stays as the corpus grows."""
    return sources if limit is None else sources.orderBy(key).limit(limit)
