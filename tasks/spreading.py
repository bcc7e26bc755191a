"""Where the sources of a job are worked on: in processes of this machine, or on Spark's executors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from schemas.corpus import WorkersSettings
from tasks.answers import answers_schema, from_answers
from tasks.outcome import Outcome
from tasks.worker import Order
from tasks.workers import Workers, stream_answers

SOURCES_PER_TASK = 256


@dataclass(frozen=True)
class Labour:
    """How a job's sources are worked on.

    Attributes:
        work: from a batch of sources to an outcome.
        on_spark: the same for a frame of sources, without bringing them here; None where they come here.
    """

    work: Callable[[pa.Table], Outcome]
    on_spark: Callable[[DataFrame, int], Outcome] | None


@contextmanager
def labour(
    settings: WorkersSettings, work: str, arguments: dict[str, object], source_key: str, rows: pa.Schema
) -> Iterator[Labour]:
    """Worker processes for as long as the block runs; they start with the first source.

    With `where = "spark"` each of Spark's tasks has a worker process on its executor. These must be able to import
    Nightjar's packages: run the cluster's Python from a checkout, or ship it (`spark.addArtifacts`).

    Args:
        work: "module:function", see `tasks.worker.Order`.
        source_key: column that names a source in the quarantine.
        rows: schema of the outcome's rows.
    """
    order = Order(work, arguments, settings.seconds_per_source, settings.memory_mb)
    with Workers(order, source_key, rows, settings.count) as workers:
        on_spark = partial(_on_spark, order=order, source_key=source_key, rows=rows)
        yield Labour(workers.work, on_spark if settings.where == "spark" else None)


def _on_spark(sources: DataFrame, count: int, order: Order, source_key: str, rows: pa.Schema) -> Outcome:
    spread = sources.repartition(-(-count // SOURCES_PER_TASK))
    schema = from_arrow_schema(answers_schema(rows))
    answers = spread.mapInArrow(partial(stream_answers, order, source_key, rows), schema).toArrow()
    return from_answers(answers, rows)
