"""The embed stage: every distinct live text gets one vector."""

from collections.abc import Callable

import pyarrow as pa
from pyspark.sql import functions as F

from models.encoder import Encoder
from schemas.chunks import CHUNKS
from schemas.embeddings import EMBEDDINGS
from schemas.passage import passage_text
from tasks.job import Job, run_job
from tasks.labour import InThisProcess
from tasks.outcome import Outcome
from tasks.run import Stage

SOURCE = pa.schema([CHUNKS.schema.field(name) for name in ("text_hash", "heading_path", "text", "tokens")])
TEXTS_PER_COMMIT = 1024


def embed(stage: Stage, encoder_id: str, open_encoder: Callable[[], Encoder]) -> None:
    """Encode the texts that this encoder has no vector of; it is loaded only when there are any."""
    live = stage.read(CHUNKS).where("live").select(*SOURCE.names).dropDuplicates(["text_hash"])
    done = stage.read(EMBEDDINGS).where(F.col("encoder_id") == encoder_id)

    def work(batch: pa.Table) -> Outcome:
        return encode_batch(batch, open_encoder())

    def commit(outcome: Outcome) -> int:
        return stage.append(EMBEDDINGS, outcome.rows)

    labour = InThisProcess(work, SOURCE, TEXTS_PER_COMMIT)
    job = Job(encoder_id, "text_hash", labour, commit, TEXTS_PER_COMMIT, "texts")
    # Longest first: texts of one length share a forward pass without padding, and the time left is not flattered.
    run_job(stage, job, live, done, ["text_hash"], lambda pending, _: pending.orderBy(F.desc("tokens"), "text_hash"))


def encode_batch(sources: pa.Table, encoder: Encoder) -> Outcome:
    """Vectors of a batch of texts.

    Args:
        sources: `text_hash`, `heading_path` and `text`.
    """
    texts = [passage_text(row["heading_path"], row["text"]) for row in sources.to_pylist()]
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
