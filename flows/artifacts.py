"""What a run leaves in Prefect for whoever looks there: plan, progress, closing table, gates, index and metrics."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.events import emit_event
from pyspark.sql import functions as F

from flows.opening import gate_pages, open_run
from flows.progress_artifact import ProgressArtifact
from flows.report import summary, verdict
from schemas.errors import BundleError, GateError
from schemas.indexes import INDEXES
from tasks.planning import Plan
from tasks.run import Run
from tasks.selection import EVERYTHING, Selection
from warehouse.pointer import read_pointer
from warehouse.registry import registry_of

GATE_FAILED = "nightjar.gate.failed"
"""Event that automations can wait for; its resource is `nightjar.corpus.NAME`."""


@contextmanager
def reported_run(corpus: str, ds: date | None, selection: Selection = EVERYTHING) -> Iterator[Run]:
    """`open_run` inside a flow: its artifacts say how far it is and, however it ends, what it did.

    Raises:
        BundleError: the pointer cannot be read: told now, and not after hours of work for an index.
    """
    with open_run(corpus, ds, selection) as run:
        read_pointer(run.corpus.indexes)
        run.progress = ProgressArtifact(run.progress, artifact_key("progress", run.corpus.name))
        try:
            yield run
        except GateError as error:
            _tell_of_failed_gate(run, error)
            raise
        finally:
            show_closing(run)
            show_gates(run)
            show_index(run)


def show_plan(plan: Plan, corpus: str) -> None:
    """The plan as a table, a row a stage."""
    rows = [stage.model_dump(mode="json", exclude={"pending"}) | stage.pending for stage in plan.stages]
    create_table_artifact(rows, key=artifact_key("plan", corpus), description="What this run is about to do.")


def show_missed(corpus: str, said: str) -> None:
    """Which nights were missed, and which are made up for."""
    create_markdown_artifact(said, key=artifact_key("missed", corpus), description="Nights that were missed.")


def show_closing(run: Run) -> None:
    """Rows, tokens and seconds of every stage, and where the gates' results are."""
    closing = summary(run)
    said = f"Run `{run.run_id}` {closing['state']}. {verdict(closing)} Gate results: `{gate_pages(run.corpus)}`."
    create_table_artifact(closing["stages"], key=artifact_key("closing", run.corpus.name), description=said)


def show_gates(run: Run) -> None:
    """What the gates of this run said, with links to Great Expectations' pages (Data Docs)."""
    gate = next((ledger for ledger in run.ledgers if ledger.stage == "gate"), None)
    if gate is None:
        return
    folder = gate_pages(run.corpus).resolve()
    links = [f"- [{page.stem}]({page.as_uri()})" for page in sorted(folder.glob("*.html"))]
    said = "\n".join([f"Gates {gate.state}. {gate.detail or ''}", *_measured_of_index(run), "", "Data Docs:", *links])
    create_markdown_artifact(said, key=artifact_key("gates", run.corpus.name), description="What the gates said.")


def show_index(run: Run) -> None:
    """The live index and its manifest."""
    try:
        live = read_pointer(run.corpus.indexes)
        if live is None:
            return
        manifest = registry_of(run.corpus.indexes).manifest(live.index_id).model_dump_json(indent=2)
        said = f"Live: `{live.index_id}`, published {live.published_at}.\n\n```json\n{manifest}\n```"
    except BundleError as error:  # the run is over, and what it did is not wrong because of that
        said = str(error)
    key = artifact_key("index", run.corpus.name)
    create_markdown_artifact(said, key=key, description="The live index version.")


def show_metrics(corpus: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Means of the live index beside those of the version before it."""
    said = "Means over the judged queries, of the live index (after) and of the version measured before it (before)."
    create_table_artifact([dict(row) for row in rows], key=artifact_key("metrics", corpus), description=said)


def artifact_key(kind: str, corpus: str) -> str:
    """A key as Prefect allows it."""
    return f"{kind}-{corpus.replace('_', '-')}"


def _measured_of_index(run: Run) -> list[str]:
    """A line for every figure of the version that this run has built."""
    if not any(ledger.stage == "index" and ledger.rows_out for ledger in run.ledgers):
        return []
    mine = run.warehouse.read(INDEXES).where(F.col("run_id") == run.run_id).select("index_id", "gates")
    rows = run.warehouse.arrow(INDEXES, mine).to_pylist()
    return [f"- index {row['index_id']}: {name} {value:g}" for row in rows for name, value in row["gates"]]


def _tell_of_failed_gate(run: Run, error: GateError) -> None:
    emit_event(
        GATE_FAILED,
        resource={"prefect.resource.id": f"nightjar.corpus.{run.corpus.name}"},
        payload={"run_id": run.run_id, "ds": run.ds.isoformat(), "message": str(error)},
    )
