"""The chunk stage: live documents become passages; a passage that did not change keeps its key."""

import pyarrow as pa
from pyspark.sql import functions as F

from schemas.chunks import CHUNKS
from schemas.documents import DOCUMENTS
from tasks.chunk import COLUMNS, chunker_id
from tasks.job import Job, run_job
from tasks.outcome import Outcome
from tasks.retire import retire
from tasks.run import Stage
from tasks.spreading import labour

SOURCE = pa.schema(
    [
        DOCUMENTS.schema.field(name)
        for name in ("doc_id", "url", "title", "text", "body_hash", "extractor_id", "ds", "live")
    ]
)


def chunk(stage: Stage, encoder_id: str) -> None:
    """Cut documents that are new or changed, and retire the chunks of documents that are gone."""
    settings = stage.run.corpus.chunk
    producer = chunker_id(settings, encoder_id)
    live = stage.read(DOCUMENTS).where("live")
    done = stage.read(CHUNKS).where(F.col("live") & (F.col("chunker_id") == producer))

    def commit(outcome: Outcome) -> int:
        # Every document that could be cut has a chunk; those of one that could not stay as they were.
        merged = stage.merge(CHUNKS, outcome.rows, vanish={"doc_id": outcome.rows["doc_id"].unique().to_pylist()})
        return merged.inserted + merged.updated

    arguments = {
        "settings": settings.model_dump(mode="json"),
        "encoder": stage.run.corpus.encoder.model_dump(mode="json"),
        "tokenizer_fingerprint": encoder_id,
    }
    # Rejected by body: a document whose page changes is tried again.
    with labour(stage.run.corpus.workers, "tasks.chunk:document_work", arguments, "body_hash", COLUMNS) as at:
        job = Job(producer, SOURCE, "body_hash", at.work, commit, 512, "documents", ahead=True, on_spark=at.on_spark)
        run_job(stage, job, live, done, ["doc_id", "body_hash", "extractor_id"])
    retire(stage, CHUNKS, stage.read(CHUNKS).join(live.select("doc_id"), "doc_id", "left_anti"))
