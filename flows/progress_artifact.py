"""How far a long stage is, shown in Prefect beside wherever else it is shown."""

import time
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.progress import Meter
from tasks.run import Progress

SECONDS_BETWEEN_UPDATES = 10.0


class ProgressArtifact:
    """Progress that is also an artifact of the task at work; a stage that ends sooner than an update is due has none.

    Args:
        shown: where else progress goes.
        key: of the artifacts.
    """

    def __init__(self, shown: Progress, key: str) -> None:
        self._shown = shown
        self._key = key
        self._meter = Meter()
        self._updated = 0.0
        self._artifact: UUID | None = None

    def begin(self, stage: str, total: int, unit: str) -> None:
        """See `Progress.begin`."""
        self._shown.begin(stage, total, unit)
        self._meter.begin(stage, total, unit)
        self._updated, self._artifact = time.monotonic(), None

    def advance(self, rows: int, tokens: int = 0) -> None:
        """See `Progress.advance`."""
        self._shown.advance(rows, tokens)
        self._meter.advance(rows, tokens)
        if time.monotonic() - self._updated >= SECONDS_BETWEEN_UPDATES:
            self._update()

    def end(self) -> None:
        """See `Progress.end`."""
        self._shown.end()
        if self._artifact:
            self._update()

    def note(self, text: str) -> None:
        """See `Progress.note`."""
        self._shown.note(text)

    def _update(self) -> None:
        meter = self._meter
        share = 100.0 * min(meter.rows / meter.total, 1.0) if meter.total else 100.0
        rows = f"{meter.rows:,} of {meter.total:,} {meter.unit}"
        said = f"{meter.stage}: {rows}, {meter.rates()}{meter.remaining()}"
        if self._artifact:
            update_progress_artifact(self._artifact, share, said)
        else:
            made = create_progress_artifact(share, key=self._key, description=said)
            self._artifact = cast(UUID, made)  # a coroutine only where a loop runs, and a stage is in none
        self._updated = time.monotonic()
