"""What runs are called in Prefect."""

from datetime import UTC, datetime
from pathlib import Path

from prefect.runtime import flow_run

SAID = ("stage", "recipe", "ds", "since", "until")


def run_name() -> str:
    """Flow, corpus, what the run was asked for and its date, such as `nightly-pydoc-2026-11-23`."""
    asked = flow_run.parameters
    said = [str(asked[name]) for name in SAID if asked.get(name)]
    dated = any(asked.get(name) for name in ("ds", "since", "until"))
    today = [] if dated else [f"{datetime.now(UTC):%Y-%m-%d}"]
    return "-".join([flow_run.flow_name or "run", Path(asked["corpus"]).stem, *said, *today])
