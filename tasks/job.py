"""The loop that every job over texts shares: pending rows in, committed rows and quarantined ones out."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.hashing import digest
from schemas.quarantine import QUARANTINE
from tasks.labour import Labour
from tasks.outcome import Outcome, Rejection, together
from tasks.run import Stage

LONGEST_RAW = 10_000
# Spark holds the rows of a merge in its plan and copies them with every rule: 20 MB of chunks exhausted the heap.
LARGEST_COMMIT_BYTES = 4 << 20
# A kill loses about as much work.
COMMIT_SECONDS = 60


@dataclass(frozen=True)
class Job:
    """One kind of work over texts.

    Attributes:
        producer_id: fingerprint of what does the work: recipe, extractor, chunker or encoder.
        source_key: column that names a source in the quarantine.
        labour: where and how the work is done.
        commit: writes an outcome's rows and returns how many rows changed.
        commit_rows: sources per commit; fewer where they are large or slow.
    """

    producer_id: str
    source_key: str
    labour: Labour
    commit: Callable[[Outcome], int]
    commit_rows: int
    unit: str = "rows"


def run_job(
    stage: Stage,
    job: Job,
    sources: DataFrame,
    done: DataFrame,
    key: Sequence[str],
    arrange: Callable[[DataFrame, int], DataFrame] = lambda pending, _: pending,
) -> None:
    """Work off `sources` that are neither among `done` nor in quarantine, committing batch by batch.

    Args:
        arrange: puts the pending sources in order, or joins what only they need, and is told how many they are;
            counting does without it.
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
        with closing(job.labour.outcomes(warehouse, arrange(pending, left), left)) as outcomes:
            for outcome in _commits(stage, job, outcomes):
                commit_outcome(stage, job, outcome)
    finally:
        progress.end()


def _commits(stage: Stage, job: Job, outcomes: Iterator[tuple[int, Outcome]]) -> Iterator[Outcome]:
    """Outcomes put together until they are worth a commit, by number, size or age."""
    waiting: list[Outcome] = []
    sources = size = 0
    begun = time.monotonic()
    for count, outcome in outcomes:
        stage.run.progress.advance(count, outcome.output_tokens)
        waiting.append(outcome)
        sources, size = sources + count, size + outcome.rows.nbytes
        late = time.monotonic() - begun >= COMMIT_SECONDS
        if late or sources >= job.commit_rows or size >= LARGEST_COMMIT_BYTES:
            yield together(waiting)
            waiting, sources, size, begun = [], 0, 0, time.monotonic()
    if waiting:
        yield together(waiting)


def commit_outcome(stage: Stage, job: Job, outcome: Outcome) -> None:
    """Commit one batch and account for it. Rows first: a kill in between leaves the rejected ones pending."""
    stage.ledger.rows_out += job.commit(outcome)
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
