"""The chunk stage: live documents become passages; a passage that did not change keeps its key."""

from collections.abc import Callable

import pyarrow as pa
from pyspark.sql import functions as F

from models.encoder import Encoder
from models.tokens import TextTokenizer
from schemas.chunks import CHUNKS
from schemas.documents import DOCUMENTS
from tasks.chunk import chunk_documents, chunker_id, open_chunker
from tasks.job import Job, run_job
from tasks.outcome import Outcome
from tasks.retire import retire
from tasks.run import Stage

SOURCE = pa.schema(
    [
        DOCUMENTS.schema.field(name)
        for name in ("doc_id", "url", "title", "text", "body_hash", "extractor_id", "ds", "live")
    ]
)


def chunk(stage: Stage, encoder_id: str, tokenizer: TextTokenizer, open_encoder: Callable[[], Encoder]) -> None:
    """Cut documents that are new or changed, and retire the chunks of documents that are gone.

    Args:
        tokenizer: the encoder's own.
        open_encoder: called only where the corpus's strategy needs vectors and there is something to cut.
    """
    settings = stage.run.corpus.chunk
    chunker = open_chunker(settings, tokenizer, open_encoder)
    producer = chunker_id(settings, encoder_id)
    live = stage.read(DOCUMENTS).where("live")
    done = stage.read(CHUNKS).where(F.col("live") & (F.col("chunker_id") == producer))

    def work(documents: pa.Table) -> Outcome:
        return chunk_documents(documents, chunker, producer)

    def commit(documents: pa.Table, outcome: Outcome) -> int:
        merged = stage.merge(
            CHUNKS, outcome.rows, vanish={"doc_id": [row["doc_id"] for row in documents.select(["doc_id"]).to_pylist()]}
        )
        return merged.inserted + merged.updated

    job = Job(producer, SOURCE, "doc_id", work, commit, batch_rows=256, unit="documents")
    run_job(stage, job, live, done, ["doc_id", "body_hash", "extractor_id"])
    retire(stage, CHUNKS, stage.read(CHUNKS).join(live.select("doc_id"), "doc_id", "left_anti"))
