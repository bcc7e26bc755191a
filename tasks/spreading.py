"""Labour that may go wrong, in processes of its own: of this machine, or of Spark's executors."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from schemas.corpus import WorkersSettings
from tasks.answers import answers_schema, from_answers, to_answer
from tasks.labour import Labour, Outcomes
from tasks.outcome import Outcome
from tasks.worker import Order
from tasks.workers import SLICE_ROWS, Piecework, Workers
from warehouse.tables import Warehouse

SOURCES_PER_TASK = 256
# More than of pages: a batch of texts is sorted by length, and the more there are the less is padded.
TEXTS_PER_TASK = 1024
SOURCES_PER_ROUND = 16_384


@dataclass(frozen=True)
class InProcesses(Labour):
    """In child processes of this one.

    Attributes:
        piecework: what they do.
        count: how many; as many as cores when left out.
    """

    piecework: Piecework
    count: int | None = None

    def outcomes(self, warehouse: Warehouse, pending: DataFrame, left: int) -> Outcomes:
        """See `Labour.outcomes`.

        Raises:
            WorkerError: the work cannot be done at all.
        """
        with Workers(self.piecework, self.count) as workers:
            workers.start(left)
            yield from workers.outcomes(warehouse.stream(pending, self.piecework.sources, SLICE_ROWS))


@dataclass(frozen=True)
class OnSpark(Labour):
    """On Spark's executors, each of whose tasks has a child process beside it; sources do not come here.

    The executors must be able to import Nightjar's packages: run the cluster's Python from a checkout, or ship it
    (`spark.addArtifacts`).
    """

    piecework: Piecework

    def outcomes(self, warehouse: Warehouse, pending: DataFrame, left: int) -> Outcomes:
        """Outcomes of rounds of sources, so many that their rows fit here, and that a kill loses at most one."""
        sources = pending.select(*self.piecework.sources.names)
        for part in rounds(sources, self.piecework.source_key, left, SOURCES_PER_ROUND, SOURCES_PER_TASK):
            answers = self._answers(warehouse, part)
            # In pieces: what becomes of a whole round is more than a commit holds.
            for start in range(0, len(answers), SOURCES_PER_TASK):
                piece = answers.slice(start, SOURCES_PER_TASK)
                yield len(piece), from_answers(piece, self.piecework.rows)

    def _answers(self, warehouse: Warehouse, sources: DataFrame) -> pa.Table:
        schema = from_arrow_schema(answers_schema(self.piecework.rows))
        return warehouse.collect(sources.mapInArrow(partial(_answered, self.piecework), schema))


@dataclass(frozen=True)
class ModelsOnSpark(Labour):
    """With a model in each of Spark's Python workers, which need Nightjar's packages and the model.

    Attributes:
        work: from a batch of sources to an outcome that rejects none; it is sent to executors.
        sources: columns that `work` needs, the first of which names a source.
        rows: schema of the outcome's rows, one of each source.
    """

    work: Callable[[pa.Table], Outcome]
    sources: pa.Schema
    rows: pa.Schema

    def outcomes(self, warehouse: Warehouse, pending: DataFrame, left: int) -> Outcomes:
        """Outcomes of rounds of sources; a kill loses at most one."""
        schema = from_arrow_schema(answers_schema(self.rows))
        chosen, key = pending.select(*self.sources.names), self.sources.names[0]
        for part in rounds(chosen, key, left, SOURCES_PER_ROUND, TEXTS_PER_TASK):
            answers = warehouse.collect(part.mapInArrow(partial(_worked, self.work, self.sources), schema))
            for place in range(len(answers)):
                outcome = from_answers(answers.slice(place, 1), self.rows)
                yield len(outcome.rows), outcome


def rounds(sources: DataFrame, key: str, left: int, per_round: int, per_task: int) -> Iterator[DataFrame]:
    """Sources in parts of about `per_round`, each divided into tasks of about `per_task`.

    Args:
        key: column that decides which part a source is in.
        left: how many sources there are, about.
    """
    count = math.ceil(left / per_round)
    place = F.pmod(F.xxhash64(key), F.lit(count))
    for number in range(count):
        yield sources.where(place == number).repartition(math.ceil(left / count / per_task))


def _answered(piecework: Piecework, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Answers of every source of the batches, from one child: what a task of Spark runs on an executor."""
    with Workers(piecework, count=1) as workers:
        for batch in batches:
            # As declared, where Spark says that everything may be null.
            yield from workers.answers(pa.Table.from_batches([batch]).cast(piecework.sources))


def _worked(
    work: Callable[[pa.Table], Outcome], sources: pa.Schema, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The outcome of every batch, from this Python worker's own model."""
    for batch in batches:
        yield to_answer(work(pa.Table.from_batches([batch]).cast(sources)))


def spread(
    settings: WorkersSettings,
    work: str,
    arguments: Mapping[str, Any],
    source_key: str,
    sources: pa.Schema,
    rows: pa.Schema,
) -> Labour:
    """Labour of the settings' kind.

    Args:
        work: "module:function", see `tasks.worker.Order`.
        arguments: of that function.
        source_key: column that names a source in the quarantine.
        sources: columns that the work needs.
        rows: schema of the outcome's rows.
    """
    order = Order(work, arguments, settings.seconds_per_source, settings.memory_mb)
    piecework = Piecework(order, source_key, sources, rows)
    return OnSpark(piecework) if settings.where == "spark" else InProcesses(piecework, settings.count)
