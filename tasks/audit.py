"""Audits of features: what language models wrote, held against the passages they wrote it about."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.chunks import CHUNKS
from schemas.features import FEATURES
from warehouse.tables import Warehouse

NOT_A_WORD = r"[^\p{L}\p{N}]+"

FIGURES: Mapping[str, str] = {
    "coverage": "share of the live texts that have the feature",
    "words": "mean length in words",
    "novelty": "mean share of its distinct words that its passage does not have",
    "grounding": "mean share of its items that its passage has word for word; none where it is no list",
    "duplicates": "share of features that say what the feature of an earlier text says",
}


def audit(warehouse: Warehouse) -> list[dict[str, Any]]:
    """The figures of every recipe over the live chunks' texts: feature, recipe_id, model_id, texts, and `FIGURES`.

    Words are runs of letters and digits in lower case. An item is in a passage where its words stand there in
    this order, next to each other.
    """
    live = warehouse.read(CHUNKS).where("live")
    heading = F.concat_ws(" ", "heading_path", "text")
    passages = live.select("text_hash", _words(heading).alias("passage")).dropDuplicates(["text_hash"])
    written = warehouse.read(FEATURES).select(
        "text_hash", "feature", "recipe_id", "model_id", "items", _words(F.col("text")).alias("words")
    )
    figures = (
        written.join(passages, "text_hash")
        .groupBy("feature", "recipe_id", "model_id")
        .agg(
            F.count("*").alias("texts"),
            F.avg(F.size("words")).alias("words"),
            F.avg(_novelty()).alias("novelty"),
            F.avg(_grounding()).alias("grounding"),
            (1 - F.countDistinct("words") / F.count("*")).alias("duplicates"),
        )
    )
    total = passages.agg(F.count("*").alias("all_texts"))
    found = figures.crossJoin(total).withColumn("coverage", F.col("texts") / F.col("all_texts"))
    columns = ("feature", "recipe_id", "model_id", "texts", *FIGURES)
    return warehouse.arrow(FEATURES, found.select(*columns).orderBy("feature", "recipe_id")).to_pylist()


def _words(text: Column) -> Column:
    """Words in lower case, in order and with repetitions."""
    return F.array_remove(F.split(F.lower(text), NOT_A_WORD), "")


def _novelty() -> Column:
    distinct = F.size(F.array_distinct("words"))
    new = F.size(F.array_except("words", "passage"))
    return F.when(distinct > 0, new / distinct)


def _grounding() -> Column:
    passage = _spaced(F.col("passage"))
    found = F.filter("items", lambda item: F.contains(passage, _spaced(_words(item))))
    return F.when(F.size("items") > 0, F.size(found) / F.size("items"))


def _spaced(words: Column) -> Column:
    """One text with a space before and after every word, so that words are found whole."""
    return F.concat(F.lit(" "), F.array_join(words, " "), F.lit(" "))
