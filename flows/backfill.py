"""The backfill flow: one part of a night, over named dates, sources or failures, and nothing else."""

from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

from prefect import flow
from rich.console import Console

from flows import steps
from flows.artifacts import reported_run, show_plan
from flows.naming import run_name
from flows.planning import jobs, plan_run
from flows.plans import print_plan
from flows.refresh import publish_checked
from flows.report import summary
from tasks.parts import Part
from tasks.planning import What
from tasks.run import Run


@flow(name="backfill", flow_run_name=run_name, persist_result=False)
def backfill(
    corpus: str,
    stage: Part,
    since: date | None = None,
    until: date | None = None,
    recipe: str = "",
    where: str = "",
    failed_only: bool = False,
    limit_tokens: int | None = None,
) -> dict[str, Any]:
    """Do one stage's pending work over a part of the corpus. Run again, it finds nothing to do.

    What was fetched is not fetched again: pages are extracted anew from their stored bodies, and of every page only
    the newest body counts, so that an old date never overwrites newer truth. Nothing is retired.

    Args:
        corpus: name of a shipped corpus, or path of a corpus file.
        stage: what is done; features, queries and contexts run every recipe of that kind.
        since: only sources whose page body was stored on this logical date or later.
        until: only those whose was stored on this date or before.
        recipe: only this recipe.
        where: only sources for which this SQL condition on their columns holds.
        failed_only: only sources in quarantine, which are fed back, and those fed back before.
        limit_tokens: stop after the batch in which models have read and written so many tokens.

    Returns:
        The run as `nightjar status --json` shows it under `last_run`.
    """
    what = What(
        part=stage,
        since=since,
        until=until,
        recipe=recipe,
        where=where,
        failed_only=failed_only,
        limit_tokens=limit_tokens,
    )
    with reported_run(corpus, None, what.selection) as run:
        plan = plan_run(run, corpus, what)
        print_plan(Console(), plan)
        show_plan(plan, run.corpus.name)
        for step in steps_of(run, stage, recipe):
            step()
        return summary(run)


def steps_of(run: Run, part: Part, recipe: str) -> list[Callable[[], object]]:
    """The steps of a part, in order."""
    alone: dict[Part, Callable[[Run], object]]
    alone = {Part.EXTRACT: steps.extract, Part.CHUNK: steps.chunk, Part.EMBED: embed, Part.INDEX: publish_checked}
    if part in alone:
        return [partial(alone[part], run)]
    chosen = [each for each in jobs(run) if each.part is part and recipe in ("", each.name)]
    return [partial(steps.write, run, [each.order.asked for each in chosen if each.order])]


def embed(run: Run) -> None:
    """Give texts their vectors, of every kind that the corpus asks for."""
    steps.embed(run)
    steps.embed_sparsely(run)
