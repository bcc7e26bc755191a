"""What a run leaves in Prefect for whoever looks there: its plan, its closing table, its gates and its index."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.opening import gate_pages, open_run
from flows.report import summary, verdict
from schemas.errors import BundleError
from tasks.planning import Plan
from tasks.run import Run
from tasks.selection import EVERYTHING, Selection
from warehouse.bundle import indexes_folder
from warehouse.manifest import read_manifest
from warehouse.pointer import read_pointer


@contextmanager
def reported_run(corpus: str, ds: date | None, selection: Selection = EVERYTHING) -> Iterator[Run]:
    """`open_run` inside a flow: however it ends, its artifacts say what it did."""
    with open_run(corpus, ds, selection) as run:
        try:
            yield run
        finally:
            show_closing(run)
            show_index(run)


def show_plan(plan: Plan, corpus: str) -> None:
    """The plan as a table, a row a stage."""
    rows = [stage.model_dump(mode="json", exclude={"pending"}) | stage.pending for stage in plan.stages]
    create_table_artifact(rows, key=f"plan-{_key(corpus)}", description="What this run is about to do.")


def show_closing(run: Run) -> None:
    """Rows, tokens and seconds of every stage, and where the gates' results are."""
    closing = summary(run)
    said = f"Run `{run.run_id}` {closing['state']}. {verdict(closing)} Gate results: `{gate_pages(run.corpus)}`."
    create_table_artifact(closing["stages"], key=f"closing-{_key(run.corpus.name)}", description=said)


def show_index(run: Run) -> None:
    """The live index and its manifest."""
    live = read_pointer(run.corpus.warehouse)
    if live is None:
        return
    try:
        manifest = read_manifest(indexes_folder(run.corpus.warehouse) / live.index_id).model_dump_json(indent=2)
    except BundleError as error:  # the run is over, and what it did is not wrong because of that
        manifest = str(error)
    said = f"Live: `{live.index_id}`, published {live.published_at}.\n\n```json\n{manifest}\n```"
    create_markdown_artifact(said, key=f"index-{_key(run.corpus.name)}", description="The live index version.")


def _key(name: str) -> str:
    """A name as Prefect's keys allow it."""
    return name.replace("_", "-")
