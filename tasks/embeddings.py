"""The embed stage: every distinct live text gets one vector."""

from collections.abc import Callable
from functools import cache, partial

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.encoder import Encoder
from models.opening import open_encoder
from schemas.chunks import CHUNKS
from schemas.corpus import EncoderSettings
from schemas.embeddings import EMBEDDINGS
from schemas.passage import passage_text
from schemas.table import Table
from tasks.job import Job, run_job
from tasks.labour import InThisProcess, Labour
from tasks.outcome import Outcome
from tasks.run import Stage
from tasks.spreading import ModelsOnSpark

SOURCE = pa.schema([CHUNKS.schema.field(name) for name in ("text_hash", "heading_path", "text", "tokens")])
TEXTS_PER_COMMIT = 1024
Work = Callable[[pa.Table], Outcome]
"""From a batch of texts to their vectors."""


def embed(stage: Stage, encoder_id: str, open_encoder: Callable[[], Encoder]) -> None:
    """Encode the texts that this encoder has no vector of; it is loaded only when there are any."""
    run_job(stage, encoding(stage, encoder_id, open_encoder))


def encoding(stage: Stage, encoder_id: str, open_encoder: Callable[[], Encoder]) -> Job:
    """Texts of live chunks in, vectors out."""
    settings = stage.run.corpus.encoder
    if settings.where == "spark":
        return encoding_job(stage, EMBEDDINGS, encoder_id, on_spark(EMBEDDINGS, partial(_encode_there, settings)))
    return encoding_job(stage, EMBEDDINGS, encoder_id, here(lambda batch: encode_batch(batch, open_encoder())))


def here(work: Work) -> Labour:
    """Batch after batch in this process."""
    return InThisProcess(work, SOURCE, TEXTS_PER_COMMIT)


def on_spark(table: Table, work: Work) -> Labour:
    """In Spark's Python workers."""
    return ModelsOnSpark(work, SOURCE, pa.schema([field for field in table.schema if field.name != "run_id"]))


def encoding_job(stage: Stage, table: Table, encoder_id: str, labour: Labour) -> Job:
    """Texts of live chunks in, rows of a table of vectors out.

    Args:
        table: with `text_hash` and `encoder_id` as its key.
        labour: from sources to rows.
    """
    live = stage.run.selection.of(stage.read(CHUNKS).where("live"))
    vectors = stage.read(table)

    def commit(outcome: Outcome) -> int:
        return stage.append(table, outcome.rows)

    return Job(
        producer_id=encoder_id,
        source_key="text_hash",
        sources=live.select(*SOURCE.names).dropDuplicates(["text_hash"]),
        results=vectors,
        done=vectors.where(F.col("encoder_id") == encoder_id),
        key=("text_hash",),
        labour=labour,
        commit=commit,
        commit_rows=TEXTS_PER_COMMIT,
        unit="texts",
        arrange=_longest_first,
    )


def _longest_first(pending: DataFrame, _: int) -> DataFrame:
    """Texts of one length share a forward pass without padding, and the time left is not flattered."""
    return pending.orderBy(F.desc("tokens"), "text_hash")


def _encode_there(settings: EncoderSettings, sources: pa.Table) -> Outcome:
    return encode_batch(sources, _encoder(settings))


@cache
def _encoder(settings: EncoderSettings) -> Encoder:
    """The encoder of this Python worker, which stays for its other tasks."""
    return open_encoder(settings)


def encode_batch(sources: pa.Table, encoder: Encoder) -> Outcome:
    """Vectors of a batch of texts.

    Args:
        sources: `text_hash`, `heading_path` and `text`.
    """
    texts = texts_of(sources)
    encoded = encoder.encode(texts)
    size = encoded.vectors.shape[1]
    flat = pa.array(encoded.vectors.ravel(), pa.float32())
    offsets = pa.array(range(0, len(texts) * size + 1, size), pa.int32())
    rows = pa.table(
        {
            "text_hash": sources["text_hash"],
            "encoder_id": pa.array([encoder.encoder_id] * len(texts), pa.string()),
            "vector": pa.ListArray.from_arrays(offsets, flat),
        }
    )
    return Outcome(rows, prompt_tokens=encoded.tokens)


def texts_of(sources: pa.Table) -> list[str]:
    """What an encoder reads of each source."""
    return [passage_text(row["heading_path"], row["text"]) for row in sources.to_pylist()]
