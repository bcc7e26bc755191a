"""A run and its stages: what they read and wrote, what it cost, and the ledger row each leaves in `runs`."""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any, Protocol

import pyarrow as pa
from pyspark.sql import DataFrame

from schemas.corpus import Corpus
from schemas.runs import RUNS
from schemas.table import Table
from tasks.selection import EVERYTHING, Selection
from warehouse.pointer import Pointer, read_pointer
from warehouse.tables import Merged, Warehouse

LOG = logging.getLogger("nightjar")
FIGURES = ("rows_in", "rows_out", "skipped", "quarantined", "prompt_tokens", "output_tokens", "requests")


class Progress(Protocol):
    """Whoever shows how far a long step is."""

    def begin(self, stage: str, total: int, unit: str) -> None:
        """A step over `total` rows starts."""

    def advance(self, rows: int, tokens: int = 0) -> None:
        """`rows` more are done, for which a model wrote `tokens`."""

    def end(self) -> None:
        """The step is over."""

    def note(self, text: str) -> None:
        """Something worth a line, such as a model that takes a while to load."""


class Silent:
    """Progress nobody watches: for programs that run stages themselves."""

    def begin(self, stage: str, total: int, unit: str) -> None: ...
    def advance(self, rows: int, tokens: int = 0) -> None: ...
    def end(self) -> None: ...
    def note(self, text: str) -> None: ...


@dataclass
class Ledger:
    """The figures of one stage, as they stand in `runs`, and the class of the error that ended it."""

    stage: str
    started_at: datetime
    state: str = "completed"
    rows_in: int = 0
    rows_out: int = 0
    skipped: int = 0
    quarantined: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    seconds: float = 0.0
    detail: str | None = None
    error: str | None = None
    versions_read: dict[str, int] = field(default_factory=dict)
    versions_written: dict[str, int] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.output_tokens


class Run:
    """One run over a corpus on a logical date.

    Tables are read at the version they had when the run first read them; a run's own commits move it on.

    Args:
        selection: the part of the pending work that it does.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        corpus: Corpus,
        run_id: str,
        ds: date,
        progress: Progress,
        selection: Selection = EVERYTHING,
    ) -> None:
        self.warehouse = warehouse
        self.corpus = corpus
        self.run_id = run_id
        self.ds = ds
        self.progress = progress
        self.selection = selection
        self._ledgers: dict[str, Ledger] = {}
        self._unrecorded: set[str] = set()
        self._recorded: set[str] = set()
        self._pins: dict[str, int] = {}

    @property
    def ledgers(self) -> list[Ledger]:
        """Ledgers of the stages so far, in order; a stage that was tried again has one."""
        return list(self._ledgers.values())

    @property
    def tokens(self) -> int:
        """Tokens that models have read and written in this run."""
        return sum(ledger.tokens for ledger in self._ledgers.values())

    @property
    def spent(self) -> bool:
        """Whether models have read and written as many tokens as they were to."""
        return self.selection.most_tokens is not None and self.tokens >= self.selection.most_tokens

    @cached_property
    def live(self) -> Pointer | None:
        """The pointer as this run first saw it: what it builds on, and the only version that it may replace."""
        return read_pointer(self.corpus.indexes)

    @contextmanager
    def stage(self, name: str) -> Iterator["Stage"]:
        """Time a stage and keep its ledger, also when it fails."""
        with self.stages([name]) as (stage,):
            yield stage

    @contextmanager
    def stages(self, names: Sequence[str]) -> Iterator[list["Stage"]]:
        """Several stages that are worked on together; each is charged the share of the time that it has of the tokens.

        What fails is those that say so in their ledgers, or all of them.
        """
        together = [Stage(self, Ledger(name, datetime.now(UTC))) for name in names]
        begun = time.perf_counter()
        for stage in together:
            self._ledgers[stage.ledger.stage] = stage.ledger
            self._unrecorded.add(stage.ledger.stage)
        try:
            yield together
        except BaseException as error:
            if all(stage.ledger.state == "completed" for stage in together):
                for stage in together:
                    stage.fail(error)
            raise
        finally:
            _share(time.perf_counter() - begun, [stage.ledger for stage in together])
            for stage in together:
                self._log(stage.ledger)
            if any(stage.ledger.versions_written for stage in together):
                self.record()

    def _log(self, ledger: Ledger) -> None:
        """One JSON object a stage, with the run's id. An error's text may quote a page: only its class is logged."""
        told = {"event": "stage", "run_id": self.run_id, "corpus": self.corpus.name, "ds": self.ds.isoformat()}
        told |= {"stage": ledger.stage, "state": ledger.state}
        figures = {name: getattr(ledger, name) for name in FIGURES}
        error = {"error": ledger.error} if ledger.error else {}
        LOG.info(json.dumps({**told, **figures, "seconds": round(ledger.seconds, 3), **error}))

    def pin(self, table: Table) -> int:
        """The version this run reads `table` at."""
        if table.name not in self._pins:
            self._pins[table.name] = self.warehouse.version(table)
        return self._pins[table.name]

    def moved(self, table: Table) -> int:
        """Forget the pin after a commit of this run and take the new version."""
        self._pins.pop(table.name, None)
        return self.pin(table)

    def record(self) -> None:
        """Write the ledgers that are not in `runs` yet.

        Stages that wrote nothing wait for the next one that did, or for the end: each commit costs a second.
        """
        rows = [
            self._row(position, ledger)
            for position, ledger in enumerate(self.ledgers)
            if ledger.stage in self._unrecorded
        ]
        again = [row for row in rows if row["stage"] in self._recorded]
        if again:
            self.warehouse.merge(RUNS, RUNS.rows(again))
        new = [row for row in rows if row["stage"] not in self._recorded]
        if new:
            self.warehouse.add(RUNS, RUNS.rows(new))
        self._recorded.update(self._unrecorded)
        self._unrecorded.clear()

    def _row(self, position: int, ledger: Ledger) -> dict[str, Any]:
        kept = set(RUNS.schema.names) - {"versions_read", "versions_written"}
        figures = {name: value for name, value in vars(ledger).items() if name in kept}
        return {
            **figures,
            "run_id": self.run_id,
            "ds": self.ds,
            "position": position,
            "versions_read": list(ledger.versions_read.items()),
            "versions_written": list(ledger.versions_written.items()),
        }


class Stage:
    """One stage of a run: reads pinned tables, commits rows, keeps its ledger."""

    def __init__(self, run: Run, ledger: Ledger) -> None:
        self.run = run
        self.ledger = ledger

    def fail(self, error: BaseException) -> None:
        """Say in the ledger that the stage failed, and why."""
        self.ledger.state = "failed"
        self.ledger.detail = str(error) or type(error).__name__
        self.ledger.error = type(error).__name__

    def read(self, table: Table) -> DataFrame:
        """The table at the version this run reads it at."""
        version = self.run.pin(table)
        self.ledger.versions_read.setdefault(table.name, version)
        return self.run.warehouse.read(table, version=version)

    def append(self, table: Table, rows: pa.Table) -> int:
        """Commit new rows, stamped with this run. Returns how many were new."""
        written = self.run.warehouse.append(table, self.stamped(table, rows))
        self._moved(table, written > 0)
        return written

    def merge(self, table: Table, rows: pa.Table, *, vanish: Mapping[str, Sequence[str]] | None = None) -> Merged:
        """Commit changed rows, stamped with this run."""
        merged = self.run.warehouse.merge(table, self.stamped(table, rows), vanish=vanish)
        self._moved(table, merged != Merged(0, 0, 0))
        return merged

    def stamped(self, table: Table, rows: pa.Table) -> pa.Table:
        """The rows with `run_id`, and `created_at` and `ds` where the table has them and the rows do not."""
        stamps = {"run_id": self.run.run_id, "created_at": datetime.now(UTC), "ds": self.run.ds}
        for name, value in stamps.items():
            if name in table.schema.names and name not in rows.column_names:
                column = pa.array([value] * len(rows), table.schema.field(name).type)
                rows = rows.append_column(name, column)
        return rows

    def _moved(self, table: Table, written: bool) -> None:
        """Read the table from now on as it is after a commit: where nothing was left to write, another run wrote it."""
        version = self.run.moved(table)
        if written:
            self.ledger.versions_written[table.name] = version


def _share(seconds: float, ledgers: Sequence[Ledger]) -> None:
    """Divide seconds among stages by their tokens, or evenly where no model did anything."""
    tokens = sum(ledger.tokens for ledger in ledgers)
    for ledger in ledgers:
        ledger.seconds = seconds * (ledger.tokens / tokens if tokens else 1 / len(ledgers))
