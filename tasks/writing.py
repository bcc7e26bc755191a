"""The writing stages: a language model describes passages and answers questions, all recipes over a source together."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial, reduce
from itertools import takewhile

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.language import LanguageModel
from tasks.committing import Desk, batches, commit, refuse_too_many_failures
from tasks.generate import Source
from tasks.job import COMMIT_SECONDS, Backlog, Commits, counted, feed_back, pending_sources, stopped
from tasks.orders import Order, backlog, every_source
from tasks.run import Run
from tasks.writers import RECIPES, InThisProcess, OnSpark, Pending, Writer
from tasks.written import SOURCE_KEYS


def write(run: Run, ordered: Sequence[Order], open_model: Callable[[], LanguageModel]) -> None:
    """Run recipes over the sources that they have no rows for, a stage each.

    Args:
        open_model: called only when there is something to write.

    Raises:
        ModelError: more sources failed than a recipe allows; the rows of the others are committed.
    """
    with run.stages([order.stage for order in ordered]) as stages:
        desks = {order.recipe.name: Desk(stage, order) for stage, order in zip(stages, ordered, strict=True)}
        pending = [found for group in _groups(desks.values()) if (found := _pending(run, group))]
        if pending and not run.spent:
            _write(run, desks, pending, _writer(run, ordered, open_model))
        if pending:
            for stage in stages:
                stopped(stage)
        refuse_too_many_failures(desks.values())


def _groups(desks: Iterable[Desk]) -> list[list[Desk]]:
    """Recipes over passages and recipes over questions: those over the same sources are run together."""
    groups: dict[str, list[Desk]] = {}
    for desk in desks:
        groups.setdefault(SOURCE_KEYS[desk.order.recipe.table], []).append(desk)
    return list(groups.values())


def _pending(run: Run, desks: Sequence[Desk]) -> Pending | None:
    """The sources that some of the recipes are still to be run over; None where there are none."""
    backlogs = [backlog(desk.stage, desk.order) for desk in desks]
    lefts = [pending_sources(desk.stage, each) for desk, each in zip(desks, backlogs, strict=True)]
    _count(desks, backlogs, lefts)
    most = max(desk.stage.ledger.rows_in - desk.stage.ledger.skipped for desk in desks)
    if not most:
        return None
    if run.selection.failed_only:
        for desk, each, left in zip(desks, backlogs, lefts, strict=True):
            feed_back(desk.stage, each, left)
    schema = desks[0].order.sources
    key = schema.names[0]
    # Keys that may be null, as far as Sail can see: it does not group a union in which only one part has such.
    named = (
        left.select(F.nullif(F.col(key), F.lit("")).alias(key), F.lit(desk.order.recipe.name).alias("recipe"))
        for desk, left in zip(desks, lefts, strict=True)
    )
    wanted = reduce(DataFrame.unionAll, named).groupBy(key).agg(F.collect_set("recipe").alias(RECIPES.name))
    sources = every_source(desks[0].stage, desks[0].order).join(wanted, key)
    # In an order of the run's own, so that two runs at once begin at different ends.
    return Pending(sources.orderBy(F.xxhash64(key, F.lit(run.run_id))), schema.append(RECIPES), most)


def _count(desks: Sequence[Desk], backlogs: Sequence[Backlog], lefts: Sequence[DataFrame]) -> None:
    """Put sources, and those that need no work, into the ledgers: one query for all recipes."""
    counts = counted([*(each.sources for each in backlogs), *lefts])
    for desk, sources, left in zip(desks, counts, counts[len(desks) :], strict=False):
        desk.stage.ledger.rows_in = sources
        desk.stage.ledger.skipped = sources - left


def _writer(run: Run, ordered: Sequence[Order], open_model: Callable[[], LanguageModel]) -> Writer:
    recipes, settings = [order.recipe for order in ordered], run.corpus.language_model
    return OnSpark(recipes, settings) if settings.where == "spark" else InThisProcess(recipes, open_model)


def _write(run: Run, desks: Mapping[str, Desk], pending: Sequence[Pending], writer: Writer) -> None:
    ledgers = [desk.stage.ledger for desk in desks.values()]
    run.progress.begin("write " + " ".join(desks), sum(each.rows_in - each.skipped for each in ledgers), "texts")
    try:
        with (
            closing(writer.written(run.warehouse, pending, _Wanted(run, desks))) as written,
            Commits() as commits,
        ):
            for batch in batches(desks, written):
                commits.submit(partial(commit, desks, batch))
    finally:
        run.progress.end()


class _Wanted:
    """Which sources are still wanted when their turn comes: see `tasks.writers.StillWanted`."""

    def __init__(self, run: Run, desks: Mapping[str, Desk]) -> None:
        self._run = run
        self._desks = desks
        self._looked = time.monotonic()

    @property
    def limited(self) -> bool:
        return self._run.selection.most_tokens is not None

    @property
    def over(self) -> bool:
        return self._run.spent

    def of(self, sources: Sequence[Source]) -> Iterator[Source]:
        if time.monotonic() - self._looked >= COMMIT_SECONDS:
            self._looked = time.monotonic()
            keys = [source.key for source in sources]
            known = {name: self._known(desk, keys) for name, desk in self._desks.items()}
            sources = [left for source in sources if (left := self._without(source, known)).recipes]
        yield from takewhile(lambda _: not self.over, sources)

    def _known(self, desk: Desk, keys: Sequence[str]) -> set[str]:
        """Of these sources, those that the recipe has rows for by now."""
        key, table, warehouse = SOURCE_KEYS[desk.order.recipe.table], desk.order.table, self._run.warehouse
        mine = F.broadcast(warehouse.frame(pa.table({key: pa.array(keys, pa.string())})))
        stored = warehouse.read(table).where(F.col("recipe_id") == desk.order.recipe_id)
        found = stored.join(mine, key, "left_semi").select(key).distinct()
        return {str(known) for known in warehouse.arrow(table, found)[key].to_pylist()}

    def _without(self, source: Source, known: Mapping[str, set[str]]) -> Source:
        """The source without the recipes that another run was faster with."""
        done = {name for name in source.recipes if source.key in known[name]}
        for name in done:
            self._desks[name].stage.ledger.skipped += 1
        return Source(source.key, source.values, source.recipes - done)
