"""The nightly flow: from the web to a published index, computing only what is not there yet."""

from datetime import date
from typing import Any

from prefect import flow

from flows import steps
from flows.artifacts import reported_run
from flows.report import summary


@flow(name="nightly", flow_run_name="nightly-{corpus}-{ds}", persist_result=False)
def nightly(corpus: str, ds: date | None = None) -> dict[str, Any]:
    """Bring a corpus up to date and publish an index of it.

    Args:
        corpus: name of a shipped corpus, or path of a corpus file.
        ds: logical date; today (UTC) when left out.

    Returns:
        The run as `nightjar status --json` shows it under `last_run`.
    """
    with reported_run(corpus, ds) as run:
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
        steps.gate(run, built)
        steps.publish(run, built)
        return summary(run)
