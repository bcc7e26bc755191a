"""The deduplicate stage: live documents are signed, and judged against the kept ones that look like them."""

from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.documents import DOCUMENTS
from schemas.passage import GIVEN
from schemas.signatures import SIGNATURES
from tasks.deduplicate import KEPT, SOURCE, judge, sign_documents, signer_id
from tasks.job import Job, run_job
from tasks.labour import InThisProcess
from tasks.outcome import Outcome
from tasks.retire import retire
from tasks.run import Stage

VERSION_OF_DOCUMENT = ["doc_id", "body_hash", "extractor_id"]
"""What a document's text follows from."""
DOCUMENTS_PER_COMMIT = 1024


def deduplicate(stage: Stage) -> None:
    """Judge documents that are new or changed, and those whose kept copy is gone, changed or a duplicate itself."""
    settings = stage.run.corpus.deduplicate
    producer = signer_id(settings)
    # Given passages are judged one by one: leaving out one that repeats another would change the collection.
    live = stage.read(DOCUMENTS).where(F.col("live") & (F.col("extractor_id") != GIVEN))
    # First: a kept copy that is gone and comes back must not find its old verdict standing beside that of another.
    retire(stage, SIGNATURES, stage.read(SIGNATURES).join(live.select("doc_id"), "doc_id", "left_anti"))
    found = {"exact": 0, "near": 0}

    def work(documents: pa.Table) -> Outcome:
        return sign_documents(documents, settings)

    def commit(outcome: Outcome) -> int:
        kept = alike(stage, kept_copies(stage, live, producer), outcome.rows)
        judged = judge(outcome.rows, kept, settings.similarity)
        for kind in kinds(judged):
            found[kind] += 1
        merged = stage.merge(SIGNATURES, judged)
        return merged.inserted + merged.updated

    job = Job(
        producer_id=producer,
        source_key="doc_id",
        sources=live,
        results=stage.read(SIGNATURES).where("live"),
        done=standing(stage, live, producer),
        key=VERSION_OF_DOCUMENT,
        labour=InThisProcess(work, SOURCE, DOCUMENTS_PER_COMMIT),
        commit=commit,
        commit_rows=DOCUMENTS_PER_COMMIT,
        unit="documents",
        arrange=partial(with_last_verdict, signatures=stage.read(SIGNATURES)),
    )
    run_job(stage, job)
    if any(found.values()):
        stage.ledger.detail = f"{found['exact']} exact and {found['near']} near duplicates found"


def kept_copies(stage: Stage, live: DataFrame, producer: str) -> DataFrame:
    """Signatures of kept documents as they now are."""
    signatures = stage.read(SIGNATURES).where(F.col("live") & (F.col("signer_id") == producer))
    kept = signatures.where("duplicate_of is null")
    return kept.join(live.select(*VERSION_OF_DOCUMENT), VERSION_OF_DOCUMENT, "left_semi")


def standing(stage: Stage, live: DataFrame, producer: str) -> DataFrame:
    """Signatures whose verdict stands: of kept documents, and of duplicates whose copy is still what it was."""
    kept = kept_copies(stage, live, producer)
    compared = kept.select(F.col("doc_id").alias("duplicate_of"), F.col("text_hash").alias("kept_text_hash"))
    signatures = stage.read(SIGNATURES).where(F.col("live") & (F.col("signer_id") == producer))
    repeating = signatures.join(compared, ["duplicate_of", "kept_text_hash"], "left_semi")
    return kept.select(*VERSION_OF_DOCUMENT).unionAll(repeating.select(*VERSION_OF_DOCUMENT))


def with_last_verdict(pending: DataFrame, _: int, signatures: DataFrame) -> DataFrame:
    """Pending documents in the order in which `judge` prefers them, so that batches of them give what one would."""
    was_kept = F.col("duplicate_of").isNull().alias("was_kept")
    last = signatures.where("live").select("doc_id", was_kept, F.col("duplicate_of").alias("was_duplicate_of"))
    known = pending.join(last, "doc_id", "left").fillna({"was_kept": False})
    return known.orderBy(F.desc("was_kept"), F.length("url"), "url")


def alike(stage: Stage, kept: DataFrame, signed: pa.Table) -> pa.Table:
    """Those of the kept documents that share a bucket with one of the signed."""
    buckets = stage.run.warehouse.frame(pa.table({"bucket": pc.unique(pc.list_flatten(signed["buckets"]))}))
    exploded = kept.select(*KEPT.names, F.explode("buckets").alias("bucket"))
    sharing = exploded.join(F.broadcast(buckets), "bucket", "left_semi").dropDuplicates(["doc_id"])
    return stage.run.warehouse.arrow(SIGNATURES, sharing.select(*KEPT.names))


def kinds(judged: pa.Table) -> list[str]:
    """Of every duplicate whether it is an exact or a near one."""
    rows = judged.select(["text_hash", "kept_text_hash"]).to_pylist()
    return ["exact" if row["text_hash"] == row["kept_text_hash"] else "near" for row in rows if row["kept_text_hash"]]


def duplicates(stage: Stage) -> DataFrame:
    """The doc_id of every document that repeats a kept one; of none where the corpus file does not ask for it."""
    signatures = stage.read(SIGNATURES).where("live and duplicate_of is not null").select("doc_id")
    return signatures if stage.run.corpus.deduplicate.enabled else signatures.limit(0)
