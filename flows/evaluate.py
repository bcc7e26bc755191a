"""The evaluation flow: the live index measured by judged queries, beside the version before it."""

from typing import Any

from prefect import flow

from flows.ablating import ablate, compared_with_last
from flows.artifacts import show_metrics
from flows.naming import run_name


@flow(name="evaluate", flow_run_name=run_name, persist_result=False)
def evaluate(corpus: str) -> dict[str, Any]:
    """Measure the live index with every stored feature and baseline; no language model is called.

    What was measured already is not measured again.

    Args:
        corpus: name of a shipped corpus, or path of a corpus file, that names judged queries under [judged].

    Returns:
        As `nightjar ablate --json` prints it.
    """
    found = ablate(corpus)
    show_metrics(found["corpus"], compared_with_last(corpus, found))
    return found
