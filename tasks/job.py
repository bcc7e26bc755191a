"""The loop that every job over texts shares: pending rows in, committed rows and quarantined ones out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.hashing import digest
from schemas.quarantine import QUARANTINE
from tasks.outcome import Outcome, Rejection
from tasks.run import Stage

LONGEST_RAW = 10_000


@dataclass(frozen=True)
class Job:
    """One kind of work over texts.

    Attributes:
        producer_id: fingerprint of what does the work: recipe, extractor, chunker or encoder.
        source_schema: columns that `work` needs.
        source_key: column that names a source in the quarantine.
        work: from a batch of sources to an outcome; pure.
        commit: writes an outcome's rows for a batch of sources and returns how many rows changed.
        batch_rows: sources per commit: a kill loses at most one batch.
    """

    producer_id: str
    source_schema: pa.Schema
    source_key: str
    work: Callable[[pa.Table], Outcome]
    commit: Callable[[pa.Table, Outcome], int]
    batch_rows: int
    unit: str = "rows"


def run_job(
    stage: Stage,
    job: Job,
    sources: DataFrame,
    done: DataFrame,
    key: Sequence[str],
    arrange: Callable[[DataFrame], DataFrame] = lambda pending: pending,
) -> None:
    """Work off `sources` that are neither among `done` nor in quarantine, committing batch by batch.

    Args:
        arrange: puts the pending sources in order, or joins what only they need; counting does without it.
    """
    warehouse = stage.run.warehouse
    pending = warehouse.pending(sources, done, key)
    pending = pending.join(_rejected(stage, job), pending[job.source_key] == F.col("rejected_key"), "left_anti")
    # One query for both counts: a night that finds nothing to do is made of them.
    counted = sources.select(F.lit(1).alias("source"), F.lit(0).alias("left"))
    counted = counted.unionAll(pending.select(F.lit(0).alias("source"), F.lit(1).alias("left")))
    (figures,) = counted.agg(F.sum("source").alias("sources"), F.sum("left").alias("left")).collect()
    left = figures["left"] or 0
    stage.ledger.rows_in = figures["sources"] or 0
    stage.ledger.skipped = stage.ledger.rows_in - left
    if not left:
        return
    progress = stage.run.progress
    progress.begin(stage.ledger.stage, left, job.unit)
    try:
        for batch in warehouse.stream(arrange(pending), job.source_schema, job.batch_rows):
            outcome = job.work(batch)
            commit_outcome(stage, job, batch, outcome)
            progress.advance(len(batch), outcome.output_tokens)
    finally:
        progress.end()


def commit_outcome(stage: Stage, job: Job, batch: pa.Table, outcome: Outcome) -> None:
    """Commit one batch and account for it. Rows first: a kill in between leaves the rejected ones pending."""
    stage.ledger.rows_out += job.commit(batch, outcome)
    stage.ledger.prompt_tokens += outcome.prompt_tokens
    stage.ledger.output_tokens += outcome.output_tokens
    if outcome.rejections:
        # Merged, because one that was fed back and fails again on the same day is open again.
        stage.merge(QUARANTINE, quarantine_rows(stage.ledger.stage, job.producer_id, outcome.rejections))
        stage.ledger.quarantined += len(outcome.rejections)


def quarantine_rows(stage: str, producer_id: str, rejections: Sequence[Rejection]) -> pa.Table:
    """Rows of `quarantine`, still without the run's stamps."""
    return pa.Table.from_pylist(
        [
            {
                "quarantine_id": digest(stage, rejection.source_key, producer_id),
                "stage": stage,
                "reason": rejection.reason.value,
                "source_key": rejection.source_key,
                "recipe_id": producer_id,
                "detail": rejection.detail,
                "raw": rejection.raw[:LONGEST_RAW] if rejection.raw is not None else None,
                "open": True,
            }
            for rejection in rejections
        ]
    )


def _rejected(stage: Stage, job: Job) -> DataFrame:
    """Sources that this producer failed on and that nobody fed back: they wait for `nightjar quarantine --retry`."""
    rejected = stage.read(QUARANTINE).where(F.col("open") & (F.col("recipe_id") == job.producer_id))
    return rejected.where(F.col("stage") == stage.ledger.stage).select(F.col("source_key").alias("rejected_key"))
