"""What recipes wrote, committed: rows to their tables, rejections to the quarantine, figures to the ledgers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import functions as F

from schemas.errors import ModelError
from schemas.table import Table
from tasks.generate import Written
from tasks.job import gathered, reject
from tasks.orders import Order
from tasks.run import Stage
from tasks.written import rows_of

# As many as a model on an accelerator writes in a few seconds; on a CPU a commit is made by the clock.
WRITTEN_PER_COMMIT = 4096


@dataclass(frozen=True)
class Desk:
    """A recipe in its stage."""

    stage: Stage
    order: Order


def batches(desks: Mapping[str, Desk], written: Iterable[Written]) -> Iterator[list[Written]]:
    """What was written, put together until it is worth a commit, by number or age; its tokens are charged at once.

    Args:
        desks: by the names of their recipes.
    """
    return gathered(_told(desks, written), lambda _: 1 / WRITTEN_PER_COMMIT)


def _told(desks: Mapping[str, Desk], written: Iterable[Written]) -> Iterator[Written]:
    for each in written:
        stage = desks[each.recipe].stage
        stage.ledger.prompt_tokens += each.prompt_tokens
        stage.ledger.output_tokens += each.output_tokens
        stage.ledger.requests += each.requests
        stage.run.progress.advance(1, each.output_tokens)
        yield each


def commit(desks: Mapping[str, Desk], batch: Sequence[Written]) -> None:
    """Commit a batch of several recipes: one commit for each table, and one for the quarantine.

    Rows first: a kill in between leaves the rejected ones pending.
    """
    by_table: dict[str, dict[str, list[Written]]] = {}
    for each in batch:
        recipes = by_table.setdefault(desks[each.recipe].order.table.name, {})
        recipes.setdefault(each.recipe, []).append(each)
    for recipes in by_table.values():
        _commit_rows([(desks[name], written) for name, written in recipes.items()])
    _commit_rejections([(desks[name], written) for recipes in by_table.values() for name, written in recipes.items()])


def _commit_rows(written: Sequence[tuple[Desk, Sequence[Written]]]) -> None:
    """Append the rows of recipes that have one table."""
    table, stage = written[0][0].order.table, written[0][0].stage
    rows = [rows_of(desk.order.recipe, desk.order.recipe_id, desk.order.model_id, each) for desk, each in written]
    whole = pa.concat_tables(rows)
    if stage.append(table, whole) == len(whole):
        for (desk, _), mine in zip(written, rows, strict=True):
            desk.stage.ledger.rows_out += len(mine)
    else:  # another run was faster with some of them
        counted = _rows_of_this_run(stage, table)
        for desk, _ in written:
            desk.stage.ledger.rows_out = counted.get(desk.order.recipe_id, 0)


def _rows_of_this_run(stage: Stage, table: Table) -> dict[str, int]:
    """By recipe_id."""
    mine = stage.run.warehouse.read(table).where(F.col("run_id") == stage.run.run_id)
    return {row["recipe_id"]: row["count"] for row in mine.groupBy("recipe_id").count().collect()}


def _commit_rejections(written: Iterable[tuple[Desk, Sequence[Written]]]) -> None:
    for desk, each in written:
        reject(desk.stage, desk.order.recipe_id, [one.rejection for one in each if one.rejection])


def refuse_too_many_failures(desks: Iterable[Desk]) -> None:
    """Fail the stages whose recipes gave less than they must.

    Raises:
        ModelError: of the first of them.
    """
    failures = [failure for desk in desks if (failure := _too_many_failures(desk))]
    if failures:
        raise failures[0]


def _too_many_failures(desk: Desk) -> ModelError | None:
    ledger, recipe = desk.stage.ledger, desk.order.recipe
    worked = ledger.rows_in - ledger.skipped
    if not worked or ledger.quarantined / worked <= recipe.max_failure_rate:
        return None
    error = ModelError(
        f"{ledger.quarantined} of {worked} sources gave no usable output, more than the "
        f"{recipe.max_failure_rate:.0%} that recipe {recipe.name!r} allows",
        where=ledger.stage,
        left_behind="The others are committed, the failed ones are in quarantine with their reasons",
        remedy=f"Look at table quarantine where stage = '{ledger.stage}', then mend the recipe",
    )
    desk.stage.fail(error)
    return error
