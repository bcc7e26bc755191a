"""The nightly flow: from the web to a published index, computing only what is not there yet."""

from datetime import date
from typing import Any

from prefect import flow

from flows import steps
from flows.artifacts import reported_run
from flows.naming import run_name
from flows.nights import nights_to_make_up
from flows.report import summary
from tasks.run import Run


@flow(name="nightly", flow_run_name=run_name, persist_result=False)
def nightly(corpus: str, ds: date | None = None, force: bool = False) -> dict[str, Any]:
    """Bring a corpus up to date and publish an index of it.

    Args:
        corpus: name of a shipped corpus, or path of a corpus file.
        ds: logical date; when left out today (UTC), after the missed nights that [nights] of the corpus file asks for.
        force: publish the index also where its gates fail; the table `indexes` records that.

    Returns:
        The run as `nightjar status --json` shows it under `last_run`.
    """
    for missed in nights_to_make_up(corpus, ds):
        with reported_run(corpus, missed) as run:
            night(run)
    with reported_run(corpus, ds) as run:
        night(run, force=force)
        return summary(run)


def night(run: Run, *, force: bool = False) -> None:
    """One night, stage by stage."""
    steps.crawl(run)
    steps.read_files(run)
    steps.take_passages(run)
    steps.extract(run)
    steps.deduplicate(run)
    steps.chunk(run)
    steps.ask(run)
    steps.write(run, run.corpus.recipes)
    steps.embed(run)
    steps.embed_sparsely(run)
    built = steps.build(run)
    steps.round_trip(run, built)
    steps.gate(run, built, force=force)
    steps.publish(run, built)
    steps.mirror(run)
