"""The loop that every job over texts shares: pending rows in, committed rows and quarantined ones out."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.hashing import digest
from schemas.quarantine import QUARANTINE
from tasks.outcome import Outcome, Rejection
from tasks.run import Stage

LONGEST_RAW = 10_000
BATCHES_PER_ROUND = 16


@dataclass(frozen=True)
class Job:
    """One kind of work over texts.

    Attributes:
        producer_id: fingerprint of what does the work: recipe, extractor, chunker or encoder.
        source_schema: columns that `work` needs.
        source_key: column that names a source in the quarantine.
        work: from a batch of sources to an outcome; pure.
        commit: writes an outcome's rows and returns how many rows changed.
        batch_rows: sources per commit: a kill loses at most one batch.
        ahead: work on the next batch while one is committed; for work that other processes do, in any order.
        on_spark: does `work` for a frame of so many sources on Spark's executors; None where they come here.
    """

    producer_id: str
    source_schema: pa.Schema
    source_key: str
    work: Callable[[pa.Table], Outcome]
    commit: Callable[[Outcome], int]
    batch_rows: int
    unit: str = "rows"
    ahead: bool = False
    on_spark: Callable[[DataFrame, int], Outcome] | None = None


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
        for count, outcome in _outcomes(stage, job, arrange(pending), left):
            commit_outcome(stage, job, outcome)
            progress.advance(count, outcome.output_tokens)
    finally:
        progress.end()


def _outcomes(stage: Stage, job: Job, pending: DataFrame, left: int) -> Iterator[tuple[int, Outcome]]:
    """Batches worked off, each with how many sources it had."""
    if job.on_spark:
        yield from _rounds_on_spark(job, pending, left)
        return
    if job.ahead and left > job.batch_rows:
        # Spark hands over a partition at a time, whole: without this, half of a large corpus.
        pending = pending.repartition(math.ceil(left / job.batch_rows))
    batches = stage.run.warehouse.stream(pending, job.source_schema, job.batch_rows)
    yield from _ahead(job, batches) if job.ahead else ((len(batch), job.work(batch)) for batch in batches)


def _rounds_on_spark(job: Job, pending: DataFrame, left: int) -> Iterator[tuple[int, Outcome]]:
    """Rounds of so many sources that their outcomes fit here, and that a kill loses at most one."""
    rounds = math.ceil(left / (job.batch_rows * BATCHES_PER_ROUND))
    assert job.on_spark is not None
    for number in range(rounds):
        mine = pending.where(F.pmod(F.xxhash64(job.source_key), F.lit(rounds)) == number)
        count = left * (number + 1) // rounds - left * number // rounds
        yield count, job.on_spark(mine.select(*job.source_schema.names), count)


def _ahead(job: Job, batches: Iterable[pa.Table]) -> Iterator[tuple[int, Outcome]]:
    with ThreadPoolExecutor(1) as executor:
        under_way: deque[tuple[int, Future[Outcome]]] = deque()
        for batch in batches:
            under_way.append((len(batch), executor.submit(job.work, batch)))
            if len(under_way) > 1:
                count, future = under_way.popleft()
                yield count, future.result()
        for count, future in under_way:
            yield count, future.result()


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
