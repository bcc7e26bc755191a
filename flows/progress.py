"""How far a long step is: a live bar on a terminal, a plain line now and then elsewhere."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from tasks.run import Progress

SECONDS_BETWEEN_LINES = 5.0


def progress_for_terminal() -> Progress:
    """The live bar where standard error is a terminal, plain lines where it is not."""
    return BarProgress() if sys.stderr.isatty() else LineProgress()


class Meter:
    """Rows and tokens done since the step began, and the rates that follow."""

    def __init__(self) -> None:
        self.begin("", 0, "")

    def begin(self, stage: str, total: int, unit: str) -> None:
        self.stage, self.total, self.unit = stage, total, unit
        self.rows = self.tokens = 0
        self.begun = time.monotonic()

    def advance(self, rows: int, tokens: int) -> None:
        self.rows += rows
        self.tokens += tokens

    def rates(self) -> str:
        """Such as `12.5 pages/s` or `3.1 sources/s, 140 tokens/s`."""
        seconds = max(time.monotonic() - self.begun, 1e-9)
        tokens = f", {self.tokens / seconds:.0f} tokens/s" if self.tokens else ""
        return f"{self.rows / seconds:.1f} {self.unit}/s{tokens}"

    def remaining(self) -> str:
        """Such as `40 s left`, from the rate so far."""
        if not self.rows or self.rows >= self.total:
            return ""
        seconds = (time.monotonic() - self.begun) * (self.total - self.rows) / self.rows
        return f", {seconds:.0f} s left"


class LineProgress:
    """One line at a step's begin and end, and every few seconds between."""

    def __init__(self) -> None:
        self._meter = Meter()
        self._spoken = 0.0

    def begin(self, stage: str, total: int, unit: str) -> None:
        self._meter.begin(stage, total, unit)
        self._spoken = time.monotonic()
        self.note(f"{stage}: {total:,} {unit} to do")

    def advance(self, rows: int, tokens: int = 0) -> None:
        meter = self._meter
        meter.advance(rows, tokens)
        # The last row's line is the end's.
        if meter.rows < meter.total and time.monotonic() - self._spoken >= SECONDS_BETWEEN_LINES:
            self._spoken = time.monotonic()
            self._say(meter.remaining())

    def end(self) -> None:
        self._say("")

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def _say(self, remaining: str) -> None:
        meter = self._meter
        self.note(f"{meter.stage}: {meter.rows:,} of {meter.total:,} {meter.unit}, {meter.rates()}{remaining}")


class BarProgress:
    """A bar with rates and the time left."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._meter = Meter()
        self._bars: RichProgress | None = None
        self._bar = TaskID(0)

    def begin(self, stage: str, total: int, unit: str) -> None:
        self._meter.begin(stage, total, unit)
        self._bars = RichProgress(
            TextColumn("{task.description:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rates]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._bars.start()
        self._bar = self._bars.add_task(stage, total=total, rates=unit)

    def advance(self, rows: int, tokens: int = 0) -> None:
        self._meter.advance(rows, tokens)
        if self._bars:
            self._bars.update(self._bar, advance=rows, rates=self._meter.rates())

    def end(self) -> None:
        if self._bars:
            self._bars.stop()
            self._bars = None

    def note(self, text: str) -> None:
        self._console.print(text, style="dim")
