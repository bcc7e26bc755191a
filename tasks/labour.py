"""Where the sources of a job are worked on: in this process, in others beside it, or on Spark's executors."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame

from tasks.outcome import Outcome
from warehouse.tables import Warehouse

Outcomes = Generator[tuple[int, Outcome], None, None]
"""Outcomes as they come, each with how many sources it is of. Closing it ends the work."""


class Labour(ABC):
    """A way to work off pending sources."""

    @abstractmethod
    def outcomes(self, warehouse: Warehouse, pending: DataFrame, left: int) -> Outcomes:
        """Work off the sources.

        Args:
            pending: the sources.
            left: how many they are.
        """


@dataclass(frozen=True)
class InThisProcess(Labour):
    """Batch after batch, here: for work that wants one model and not many processes.

    Attributes:
        work: from a batch of sources to an outcome; pure.
        source_schema: columns that `work` needs.
        batch_rows: sources of a batch.
    """

    work: Callable[[pa.Table], Outcome]
    source_schema: pa.Schema
    batch_rows: int

    def outcomes(self, warehouse: Warehouse, pending: DataFrame, left: int) -> Outcomes:  # noqa: ARG002
        """See `Labour.outcomes`."""
        for batch in warehouse.stream(pending, self.source_schema, self.batch_rows):
            yield len(batch), self.work(batch)
