"""What was written about texts, joined to them: what a composition appends before an encoder reads them."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tasks.composition import Composition
from tasks.orders import given_chunks
from tasks.run import Stage
from tasks.written_about import written_about


def with_appended(stage: Stage, texts: DataFrame, composition: Composition) -> DataFrame:
    """Texts with what was written about them and a digest of it, which is there where nothing was written, too.

    Their `tokens` grow with what is appended, by its length: batches are made of texts of one length.

    Args:
        texts: with the columns of `TEXTS`, each text once.
    """
    written = written_about(stage.read, composition.recipe_ids, given_chunks(stage.read))
    digests = F.md5(F.concat_ws(":", "recipe_id", "sample", "text"))
    found = written.groupBy("text_hash").agg(
        F.collect_list(F.struct("recipe_id", "sample", "text")).alias("appended"),
        F.md5(F.concat_ws(",", F.sort_array(F.collect_list(digests)))).alias("input_hash"),
        F.sum(F.length("text")).alias("longer"),
    )
    longer = 1 + F.coalesce("longer", F.lit(0)) / F.greatest(F.length("text"), F.lit(1))
    # Nothing has the digest of nothing: a null would equal none, and its text be pending for ever.
    digest = F.coalesce("input_hash", F.md5(F.lit("")))
    joined = texts.join(found, "text_hash", "left")
    return joined.withColumns({"input_hash": digest, "tokens": (F.col("tokens") * longer).cast("int")}).drop("longer")
