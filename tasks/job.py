"""The loop that every job over texts shares: pending rows in, committed rows and quarantined ones out."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial, reduce
from typing import TypeVar

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.hashing import digest
from schemas.quarantine import QUARANTINE
from tasks.labour import Labour
from tasks.outcome import Outcome, Rejection, together
from tasks.retire import with_false
from tasks.run import Stage

LONGEST_RAW = 10_000
# Large enough that the rows, and not the plans, are what a commit costs.
LARGEST_COMMIT_BYTES = 16 << 20
# A kill loses about as much work.
COMMIT_SECONDS = 60
# Portions such as a tenth do not add up to a whole.
NEARLY_WHOLE = 1 - 1e-9

T = TypeVar("T")


@dataclass(frozen=True)
class Backlog:
    """What there is to do, and what of it is done.

    Attributes:
        producer_id: fingerprint of what does the work: recipe, extractor, chunker or encoder.
        source_key: column that names a source in the quarantine.
        sources: all there is to work on.
        results: rows whose source was worked on, by this producer or another.
        done: those of `results` that this producer need not make again.
        key: columns that sources and results share; the first names a source, the others its version.
    """

    producer_id: str
    source_key: str
    sources: DataFrame
    results: DataFrame
    done: DataFrame
    key: Sequence[str]


@dataclass(frozen=True)
class Job(Backlog):
    """One kind of work over texts: what there is to do, how it is done, and where the results go.

    Attributes:
        labour: where and how the work is done.
        commit: writes an outcome's rows and returns how many rows changed.
        commit_rows: sources per commit; fewer where they are large or slow.
        arrange: puts the pending sources in order, or joins what only they need, and is told how many they are;
            counting does without it.
    """

    labour: Labour
    commit: Callable[[Outcome], int]
    commit_rows: int
    unit: str = "rows"
    arrange: Callable[[DataFrame, int], DataFrame] = lambda pending, _: pending

    def portion(self, outcome: tuple[int, Outcome]) -> float:
        """How much of a commit so many sources and their rows are."""
        sources, made = outcome
        return max(sources / self.commit_rows, made.rows.nbytes / LARGEST_COMMIT_BYTES)


def run_job(stage: Stage, job: Job) -> None:
    """Work off the job's pending sources, committing batch by batch."""
    pending = pending_sources(stage, job)
    stage.ledger.rows_in, left = counted([job.sources, pending])
    stage.ledger.skipped = stage.ledger.rows_in - left
    if not left or stopped(stage):
        return
    if stage.run.selection.failed_only:
        feed_back(stage, job, pending)
    progress = stage.run.progress
    progress.begin(stage.ledger.stage, left, job.unit)
    try:
        with (
            closing(job.labour.outcomes(stage.run.warehouse, job.arrange(pending, left), left)) as outcomes,
            Commits() as commits,
        ):
            for some in gathered(_told(stage, outcomes), job.portion):
                commits.submit(partial(commit_outcome, stage, job, together([outcome for _, outcome in some])))
                if stopped(stage):
                    break
    finally:
        progress.end()


class Commits:
    """Commits beside the work that makes the next rows: one at a time, in order, at most one ahead of them.

    Leaving it waits for the last one. What a commit raises is raised by the next one, or on leaving.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "commit")
        self._last: Future[None] | None = None

    def __enter__(self) -> "Commits":
        return self

    def submit(self, commit: Callable[[], None]) -> None:
        """Begin a commit as soon as the last one is done."""
        self._wait()
        self._last = self._thread.submit(commit)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(wait=True)
        if kind is None:
            self._wait()

    def _wait(self) -> None:
        if self._last:
            self._last.result()
            self._last = None


def counted(frames: Sequence[DataFrame]) -> list[int]:
    """How many rows each frame has, in one query: a night that finds nothing to do is made of such counts."""
    placed = [frame.select(F.lit(place).alias("place")) for place, frame in enumerate(frames)]
    found = reduce(DataFrame.unionAll, placed).groupBy("place").count().collect()
    counts = {row["place"]: row["count"] for row in found}
    return [counts.get(place, 0) for place in range(len(frames))]


def pending_sources(stage: Stage, job: Backlog) -> DataFrame:
    """Sources that are neither done nor in quarantine; where only failed ones are wanted, those in quarantine."""
    pending = stage.run.warehouse.pending(job.sources, job.done, job.key)
    failed = rejections(stage, job)
    # Of those that only failed before, the fed back ones too: a run that was killed has fed them back already.
    failed, how = (failed, "left_semi") if stage.run.selection.failed_only else (failed.where("open"), "left_anti")
    return pending.join(failed, pending[job.source_key] == F.col("rejected_key"), how)


def stopped(stage: Stage) -> bool:
    """Whether the run has used up the tokens it was given; then the ledger says so."""
    if stage.run.spent:
        stage.ledger.detail = f"stopped at {stage.run.tokens:,} tokens, as it was told to"
    return stage.run.spent


def gathered(items: Iterable[T], portion: Callable[[T], float]) -> Iterator[list[T]]:
    """Items put together until they are worth a commit, by size or age.

    Args:
        portion: how much of a whole commit an item is.
    """
    waiting: list[T] = []
    whole, begun = 0.0, time.monotonic()
    for item in items:
        waiting.append(item)
        whole += portion(item)
        if whole > NEARLY_WHOLE or time.monotonic() - begun >= COMMIT_SECONDS:
            yield waiting
            waiting, whole, begun = [], 0.0, time.monotonic()
    if waiting:
        yield waiting


def _told(stage: Stage, outcomes: Iterable[tuple[int, Outcome]]) -> Iterator[tuple[int, Outcome]]:
    """The outcomes, put into the ledger and shown as they come."""
    for count, outcome in outcomes:
        stage.ledger.prompt_tokens += outcome.prompt_tokens
        stage.ledger.output_tokens += outcome.output_tokens
        stage.run.progress.advance(count, outcome.output_tokens)
        yield count, outcome


def commit_outcome(stage: Stage, job: Job, outcome: Outcome) -> None:
    """Commit one batch and account for it. Rows first: a kill in between leaves the rejected ones pending."""
    stage.ledger.rows_out += job.commit(outcome)
    reject(stage, job.producer_id, outcome.rejections)


def reject(stage: Stage, producer_id: str, rejections: Sequence[Rejection]) -> None:
    """Put sources that gave no row into the quarantine, and count them."""
    if rejections:
        # Merged, because one that was fed back and fails again on the same day is open again.
        stage.merge(QUARANTINE, quarantine_rows(stage.ledger.stage, producer_id, rejections))
        stage.ledger.quarantined += len(rejections)


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


def quarantine_once(stage: Stage, producer_id: str, broken: Sequence[Rejection]) -> None:
    """Put broken files, or broken lines of one, where people look; what lies there is not written again each night."""
    if not broken:
        return
    lying = stage.read(QUARANTINE).where((F.col("stage") == stage.ledger.stage) & F.col("open"))
    known = set(stage.run.warehouse.arrow(QUARANTINE, lying.select("source_key"))["source_key"].to_pylist())
    new = [rejection for rejection in broken if rejection.source_key not in known]
    if new:
        stage.merge(QUARANTINE, quarantine_rows(stage.ledger.stage, producer_id, new))
    stage.ledger.quarantined += len(new)


def rejections(stage: Stage, job: Backlog) -> DataFrame:
    """Sources that this producer failed on: `rejected_key`, and whether the rejection is `open`.

    Those that are wait for `nightjar quarantine --retry`.
    """
    return _rejected(stage, job).select(F.col("source_key").alias("rejected_key"), "open")


def _rejected(stage: Stage, job: Backlog) -> DataFrame:
    rejected = stage.read(QUARANTINE).where(F.col("recipe_id") == job.producer_id)
    return rejected.where(F.col("stage") == stage.ledger.stage)


def feed_back(stage: Stage, job: Backlog, pending: DataFrame) -> None:
    """Close the open rejections of the sources that are tried again."""
    again = pending.select(F.col(job.source_key).alias("source_key"))
    rows = _rejected(stage, job).where("open").join(again, "source_key", "left_semi")
    closed = stage.run.warehouse.arrow(QUARANTINE, rows.select(*QUARANTINE.schema.names))
    stage.merge(QUARANTINE, with_false(closed, "open"))
