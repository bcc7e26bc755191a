"""The embed stage: every distinct live text gets one vector."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from models.encoder import Encoder
from models.opening import open_encoder
from schemas.chunks import CHUNKS
from schemas.corpus import EncoderSettings
from schemas.embeddings import EMBEDDINGS
from schemas.table import Table
from tasks.appended import with_appended
from tasks.composition import PLAIN, TEXTS, Composition
from tasks.job import Job, run_job
from tasks.labour import InThisProcess, Labour
from tasks.late import late_texts
from tasks.orders import given_chunks
from tasks.outcome import Outcome
from tasks.run import Stage
from tasks.spreading import ModelsOnSpark

TEXTS_PER_COMMIT = 1024
Work = Callable[[pa.Table], Outcome]
"""From a batch of texts to their vectors."""


def embed(stage: Stage, encoder_id: str, open_encoder: Callable[[], Encoder], composition: Composition = PLAIN) -> None:
    """Encode the texts that this encoder has no vector of; it is loaded only when there are any."""
    run_job(stage, encoding(stage, encoder_id, open_encoder, composition))


def encoding(
    stage: Stage, encoder_id: str, open_encoder: Callable[[], Encoder], composition: Composition = PLAIN
) -> Job:
    """Texts of live chunks in, vectors out."""
    settings = stage.run.corpus.encoder
    opened = partial(_opened, settings) if settings.where == "spark" else open_encoder
    labour = labour_of(settings.where, EMBEDDINGS, partial(_encode, opened, composition), composition)
    texts = live_texts(stage)
    if composition.late:
        late = late_texts(stage.read, composition.late, stage.run.selection.of(given_chunks(stage.read)))
        texts = texts.unionByName(late)
    return encoding_job(stage, EMBEDDINGS, encoder_id, labour, composition, texts)


@cache
def _opened(settings: EncoderSettings) -> Encoder:
    """The encoder of a Python worker of Spark's, which stays for its other tasks."""
    return open_encoder(settings)


def _encode(opened: Callable[[], Encoder], composition: Composition, sources: pa.Table) -> Outcome:
    return encode_batch(sources, opened(), composition)


def labour_of(where: str, table: Table, work: Work, composition: Composition) -> Labour:
    """Batch after batch in this process, or in Spark's Python workers.

    Args:
        where: "here" or "spark".
        table: of the vectors.
    """
    if where == "spark":
        return ModelsOnSpark(work, composition.sources, table.unstamped)
    return InThisProcess(work, composition.sources, TEXTS_PER_COMMIT)


def encoding_job(
    stage: Stage, table: Table, encoder_id: str, labour: Labour, composition: Composition, texts: DataFrame
) -> Job:
    """Texts in, rows of a table of vectors out.

    Plain texts are encoded once. Where something is appended, a text is encoded again whenever that has changed, and
    its vector is replaced.

    Args:
        table: with `text_hash` and `encoder_id` as its key.
        labour: from sources to rows.
        texts: with the columns of `TEXTS`, each text once.
    """
    vectors, vectors_id = stage.read(table), composition.vectors_id(encoder_id)
    own, sources, results = F.col("encoder_id") == vectors_id, texts, vectors
    if composition.recipe_ids:
        sources = with_appended(stage, sources, composition)
        results = _comparable(vectors, own, sources)

    def commit(outcome: Outcome) -> int:
        if not composition.recipe_ids:
            return stage.append(table, outcome.rows)
        merged = stage.merge(table, outcome.rows)
        return merged.inserted + merged.updated

    return Job(
        producer_id=vectors_id,
        source_key="text_hash",
        sources=sources,
        results=results,
        done=vectors.where(own),
        key=("text_hash", "input_hash") if composition.recipe_ids else ("text_hash",),
        labour=labour,
        commit=commit,
        commit_rows=TEXTS_PER_COMMIT,
        unit="texts",
        arrange=_longest_first,
    )


def live_texts(stage: Stage) -> DataFrame:
    """Distinct texts of live chunks."""
    live = stage.run.selection.of(stage.read(CHUNKS).where("live"))
    return live.select(*(field.name for field in TEXTS)).dropDuplicates(["text_hash"])


def _comparable(vectors: DataFrame, own: Column, sources: DataFrame) -> DataFrame:
    """Which texts have a vector, and what was appended to them; of texts with another encoder's alone, what is now."""
    found = vectors.groupBy("text_hash").agg(F.max(F.when(own, F.col("input_hash"))).alias("mine"))
    now = sources.select("text_hash", "input_hash").join(found, "text_hash")
    return now.select("text_hash", F.coalesce("mine", "input_hash").alias("input_hash"))


def _longest_first(pending: DataFrame, _: int) -> DataFrame:
    """Texts of one length share a forward pass without padding, and the time left is not flattered."""
    return pending.orderBy(F.desc("tokens"), "text_hash")


def encode_batch(sources: pa.Table, encoder: Encoder, composition: Composition = PLAIN) -> Outcome:
    """Vectors of a batch of texts.

    Args:
        sources: with the columns of `composition.sources`.
    """
    encoded = encoder.encode(composition.texts_of(sources))
    size = encoded.vectors.shape[1]
    flat = pa.array(encoded.vectors.ravel(), pa.float32())
    offsets = pa.array(range(0, len(sources) * size + 1, size), pa.int32())
    vectors = {"vector": pa.ListArray.from_arrays(offsets, flat)}
    return Outcome(rows_of(sources, encoder.encoder_id, composition, vectors), prompt_tokens=encoded.tokens)


def rows_of(sources: pa.Table, encoder_id: str, composition: Composition, vectors: Mapping[str, Any]) -> pa.Table:
    """Rows of a table of vectors, still without the run's stamps.

    Args:
        vectors: columns of the vectors themselves.
    """
    count = len(sources)
    return pa.table(
        {
            "text_hash": sources["text_hash"],
            "encoder_id": pa.array([composition.vectors_id(encoder_id)] * count, pa.string()),
            **vectors,
            "input_hash": sources["input_hash"] if composition.recipe_ids else pa.nulls(count, pa.string()),
        }
    )
