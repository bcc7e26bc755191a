"""The chunk stage: live documents that repeat no other become passages; one that did not change keeps its key."""

from collections.abc import Callable

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.encoder import Encoder
from models.tokens import TextTokenizer
from schemas.chunks import CHUNKS
from schemas.documents import DOCUMENTS
from tasks.chunk import INHERITED, chunk_documents, chunker_id, open_chunker
from tasks.duplicates import duplicates
from tasks.job import Job, run_job
from tasks.outcome import Outcome
from tasks.retire import retire
from tasks.run import Stage

SOURCE = pa.schema([DOCUMENTS.schema.field(name) for name in (*INHERITED, "title", "text")])


def chunk(stage: Stage, encoder_id: str, tokenizer: TextTokenizer, open_encoder: Callable[[], Encoder]) -> None:
    """Cut documents that are new or changed, and retire the chunks of those that are gone or now repeat another.

    Args:
        tokenizer: the encoder's own.
        open_encoder: called only where the corpus's strategy needs vectors and there is something to cut.
    """
    settings = stage.run.corpus.chunk
    chunker = open_chunker(settings, tokenizer, open_encoder)
    producer = chunker_id(settings, encoder_id)
    live = _with_said(stage.read(DOCUMENTS).where("live").join(duplicates(stage), "doc_id", "left_anti"))
    done = stage.read(CHUNKS).where(F.col("live") & (F.col("chunker_id") == producer))

    def work(documents: pa.Table) -> Outcome:
        return chunk_documents(documents, chunker, producer)

    def commit(documents: pa.Table, outcome: Outcome) -> int:
        merged = stage.merge(
            CHUNKS, outcome.rows, vanish={"doc_id": [row["doc_id"] for row in documents.select(["doc_id"]).to_pylist()]}
        )
        return merged.inserted + merged.updated

    job = Job(producer, SOURCE, "doc_id", work, commit, batch_rows=256, unit="documents")
    run_job(stage, job, live, _with_said(done), ["doc_id", "body_hash", "extractor_id", "said"])
    retire(stage, CHUNKS, stage.read(CHUNKS).join(live.select("doc_id"), "doc_id", "left_anti"))


def _with_said(frame: DataFrame) -> DataFrame:
    """With the directives as one text, which is never null: a header may change them where the body stays."""
    return frame.withColumn("said", F.concat_ws(" ", "directives"))
