"""What was written about texts: features, and queries that came through the round-trip filter."""

from collections.abc import Callable, Collection

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.features import FEATURES
from schemas.synthetic_queries import SYNTHETIC_QUERIES
from schemas.table import Table

Read = Callable[[Table], DataFrame]
"""A table at the version that counts."""


def written_about(read: Read, recipe_ids: Collection[str], given: DataFrame) -> DataFrame:
    """What some recipes wrote: text_hash, recipe_id, sample and text.

    Args:
        given: live chunks that language models may be sent; what was written about others before is left out.
    """
    features = read(FEATURES).select("text_hash", "recipe_id", F.lit(0).alias("sample"), "text")
    kept = read(SYNTHETIC_QUERIES).where("kept")
    queries = kept.select("text_hash", "recipe_id", "sample", F.col("query").alias("text"))
    wanted = F.col("recipe_id").isin(list(recipe_ids))
    written = features.where(wanted).unionAll(queries.where(wanted))
    return written.join(given.select("text_hash").distinct(), "text_hash", "left_semi")
