"""The refresh flow: an index version of what the tables hold is built, checked and published."""

from typing import Any

from prefect import flow

from flows import steps
from flows.artifacts import reported_run
from flows.naming import run_name
from flows.report import summary
from tasks.run import Run


@flow(name="refresh", flow_run_name=run_name, persist_result=False)
def refresh(corpus: str) -> dict[str, Any]:
    """Publish an index of what the tables hold: nothing is fetched, written by a model or embedded.

    Args:
        corpus: name of a shipped corpus, or path of a corpus file.

    Returns:
        The run as `nightjar status --json` shows it under `last_run`.
    """
    with reported_run(corpus, None) as run:
        publish_checked(run)
        return summary(run)


def publish_checked(run: Run) -> None:
    """Build, check and publish an index version, unless the live one has the same content."""
    built = steps.build(run)
    steps.round_trip(run, built)
    steps.gate(run, built)
    steps.publish(run, built)
    steps.mirror(run)
