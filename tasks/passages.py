"""The chunk stage: live documents that repeat no other become passages; one that did not change keeps its key."""

from collections.abc import Callable
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.encoder import Encoder
from models.opening import encoder_id, token_counter, tokenizer_id
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus
from schemas.documents import DOCUMENTS
from schemas.passage import GIVEN
from tasks.chunk import COLUMNS, INHERITED, chunk_documents, chunker_id, open_chunker
from tasks.duplicates import duplicates
from tasks.job import Job, run_job
from tasks.labour import InThisProcess, Labour
from tasks.outcome import Outcome
from tasks.retire import retire
from tasks.run import Stage
from tasks.spreading import spread

SOURCE = pa.schema([DOCUMENTS.schema.field(name) for name in (*INHERITED, "title", "text")])
DOCUMENTS_PER_BATCH = 256
DOCUMENTS_PER_COMMIT = 2048


def chunk(stage: Stage, open_encoder: Callable[[], Encoder]) -> None:
    """Cut documents that are new or changed, and retire the chunks of those that are gone or now repeat another.

    Args:
        open_encoder: called only where the corpus's strategy needs vectors and there is something to cut.

    Raises:
        WorkerError: no document can be cut.
    """
    run_job(stage, cutting(stage, open_encoder))
    cut = stage.read(CHUNKS).where(F.col("chunker_id") != GIVEN)
    gone = cut.join(distinct_documents(stage).select("doc_id"), "doc_id", "left_anti")
    retire(stage, CHUNKS, gone)


def cutting(stage: Stage, open_encoder: Callable[[], Encoder]) -> Job:
    """Documents in, chunks out; see `chunk`."""
    producer = chunker_of(stage.run.corpus)
    chunks = _with_said(stage.read(CHUNKS).where("live"))

    def commit(outcome: Outcome) -> int:
        # Chunks of a document that could not be cut stay as they were.
        cut = [str(document) for document in outcome.rows["doc_id"].unique().to_pylist()]
        merged = stage.merge(CHUNKS, outcome.rows, vanish={"doc_id": cut})
        return merged.inserted + merged.updated

    return Job(
        producer_id=producer,
        source_key="body_hash",  # a document whose page changes is tried again
        sources=stage.run.selection.of(_with_said(distinct_documents(stage))),
        results=chunks,
        done=chunks.where(F.col("chunker_id") == producer),
        key=("doc_id", "body_hash", "extractor_id", "said"),
        labour=_labour(stage.run.corpus, producer, open_encoder),
        commit=commit,
        commit_rows=DOCUMENTS_PER_COMMIT,
        unit="documents",
    )


def chunker_of(corpus: Corpus) -> str:
    """`chunker_id` of a corpus: another encoder cuts anew only where it counts otherwise or its vectors decide.

    Raises:
        SetupError: there is no such encoder.
        ModelError: it has no readable tokenizer.
    """
    vectors_decide = corpus.chunk.strategy == "semantic"
    return chunker_id(corpus.chunk, encoder_id(corpus.encoder) if vectors_decide else tokenizer_id(corpus.encoder))


def distinct_documents(stage: Stage) -> DataFrame:
    """Live documents that repeat no other and are not given as passages."""
    extracted = stage.read(DOCUMENTS).where(F.col("live") & (F.col("extractor_id") != GIVEN))
    return extracted.join(duplicates(stage), "doc_id", "left_anti")


def _labour(corpus: Corpus, producer: str, open_encoder: Callable[[], Encoder]) -> Labour:
    if corpus.chunk.strategy == "semantic":  # one encoder here, not one in every process
        chunker = open_chunker(corpus.chunk, token_counter(corpus.encoder), open_encoder)
        work = partial(chunk_documents, chunker=chunker, chunker_id=producer)
        return InThisProcess(work, SOURCE, DOCUMENTS_PER_BATCH)
    arguments = {
        "settings": corpus.chunk.model_dump(mode="json"),
        "encoder": corpus.encoder.model_dump(mode="json"),
        "chunker_id": producer,
    }
    return spread(corpus.workers, "tasks.chunk:document_work", arguments, "body_hash", SOURCE, COLUMNS)


def _with_said(frame: DataFrame) -> DataFrame:
    """With the directives as one text, which is never null: a header may change them where the body stays."""
    return frame.withColumn("said", F.concat_ws(" ", "directives"))
