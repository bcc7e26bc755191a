"""Where language models write: in this process, or on Spark's executors."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from models.language import LanguageModel
from models.opening import open_language_model
from schemas.corpus import LanguageModelSettings
from tasks.generate import Source, Written, write
from tasks.recipes import Recipe
from tasks.spreading import rounds
from tasks.written import WRITTEN, from_batch, to_batch
from warehouse.tables import Warehouse

RECIPES = pa.field("recipes", pa.list_(pa.string()))
"""Column of pending sources: names of the recipes that are wanted of each."""
SOURCES_PER_BATCH = 1024
SOURCES_PER_TASK = 256
SOURCES_PER_ROUND = 4096
SOURCES_PER_LIMITED_ROUND = 512


@dataclass(frozen=True)
class Pending:
    """Sources that recipes are still to be run over.

    Attributes:
        frame: the key column, what the prompts need, and `recipes`, the names of those that are wanted.
        schema: of the frame.
        about: rows of the frame, at least.
    """

    frame: DataFrame
    schema: pa.Schema
    about: int


Writing = Generator[Written, None, None]
"""What is written, as it is done. Closing it ends the work."""


class StillWanted(Protocol):
    """Asked about sources before they are begun."""

    @property
    def limited(self) -> bool:
        """Whether the run was given a number of tokens."""
        ...

    @property
    def over(self) -> bool:
        """Whether these are spent, so that nothing more is to be begun."""
        ...

    def of(self, sources: Sequence[Source]) -> Iterator[Source]:
        """Those that are still to be written about: none once the run's tokens are spent, and none that another run
        has written about meanwhile."""
        ...


class Writer(ABC):
    """A way to have language models write."""

    @abstractmethod
    def written(self, warehouse: Warehouse, pending: Sequence[Pending], still_wanted: StillWanted) -> Writing:
        """Write about pending sources.

        Raises:
            ModelError: the model does not answer.
        """


@dataclass(frozen=True)
class InThisProcess(Writer):
    """One model, opened once there is something to write, that all sources are streamed through."""

    recipes: Sequence[Recipe]
    open_model: Callable[[], LanguageModel]

    def written(self, warehouse: Warehouse, pending: Sequence[Pending], still_wanted: StillWanted) -> Writing:
        """See `Writer.written`."""
        sources = (
            source
            for group in pending
            for batch in warehouse.stream(group.frame, group.schema, SOURCES_PER_BATCH)
            for source in still_wanted.of(sources_of(batch))
        )
        yield from write(self.recipes, self.open_model(), sources)


@dataclass(frozen=True)
class OnSpark(Writer):
    """A model in each of Spark's Python workers; sources do not come here.

    The executors must be able to import Nightjar's packages, and have the model or reach its server.
    """

    recipes: Sequence[Recipe]
    settings: LanguageModelSettings

    def written(self, warehouse: Warehouse, pending: Sequence[Pending], still_wanted: StillWanted) -> Writing:
        """See `Writer.written`. Work goes in rounds, so that their rows fit here and a kill loses at most one.

        `still_wanted` is asked before a round only, so rounds of a run with a limit are short.
        """
        write_here = partial(_written_on_executor, tuple(self.recipes), self.settings)
        per_round = SOURCES_PER_LIMITED_ROUND if still_wanted.limited else SOURCES_PER_ROUND
        for group in pending:
            for part in rounds(group.frame, group.schema.names[0], group.about, per_round, SOURCES_PER_TASK):
                if still_wanted.over:
                    return
                yield from from_batch(warehouse.collect(part.mapInArrow(write_here, from_arrow_schema(WRITTEN))))


def sources_of(batch: pa.Table) -> list[Source]:
    """Rows of `Pending.frame` as sources."""
    key = batch.column_names[0]
    return [Source(row.pop(key), row, frozenset(row.pop("recipes"))) for row in batch.to_pylist()]


def _written_on_executor(
    recipes: Sequence[Recipe], settings: LanguageModelSettings, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """What a task of Spark runs on an executor."""
    sources = (source for batch in batches for source in sources_of(pa.Table.from_batches([batch])))
    for each in write(recipes, _model(settings), sources):
        yield to_batch([each])


@cache
def _model(settings: LanguageModelSettings) -> LanguageModel:
    """The model of this Python worker, which stays for its other tasks."""
    return open_language_model(settings)
