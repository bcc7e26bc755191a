"""Late variants: what was written about a passage is encoded by itself, to vectors beside the passage's own.

A passage is as near to a query as the nearest of its vectors, so that a question finds it by a question that it
answers, and what is said beside cannot blur what the passage says. The vectors stand in `embeddings` under the hash of
what was encoded: what is written of many passages alike is encoded once.
"""

from collections.abc import Collection

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tasks.composition import TEXTS
from tasks.written_about import Read, written_about

CHARACTERS_PER_TOKEN = 4  # of English, about: batches are made of texts of like lengths


def late_hashes(read: Read, recipe_ids: Collection[str], given: DataFrame) -> DataFrame:
    """Late texts of passages: `text_hash` of the passage, `late_hash` of what is encoded by itself, and its `text`.

    Args:
        given: live chunks that language models may be sent.
    """
    written = written_about(read, recipe_ids, given)
    # No passage's hash is of these words.
    late_hash = F.md5(F.concat(F.lit("late:"), "text"))
    return written.select("text_hash", late_hash.alias("late_hash"), "text")


def late_texts(read: Read, recipe_ids: Collection[str], given: DataFrame) -> DataFrame:
    """What is encoded by itself, each text once, with the columns of `tasks.composition.TEXTS`."""
    tokens = F.greatest(F.length("text") / CHARACTERS_PER_TOKEN, F.lit(1)).cast("int")
    late = late_hashes(read, recipe_ids, given).dropDuplicates(["late_hash"])
    headings = F.array().cast("array<string>")
    columns = {"text_hash": F.col("late_hash"), "heading_path": headings, "tokens": tokens}
    return late.withColumns(columns).select(*(field.name for field in TEXTS))
