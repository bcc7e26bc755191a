"""How every benchmark tells what it measured: a line for people, a JSON object a line for machines."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """One figure of ours beside a reference's.

    Attributes:
        measure: what was measured, with its unit.
        goal: the most that ours may be, as a multiple of the reference; None where the reference is only shown.
    """

    measure: str
    ours: float
    reference: float
    reference_name: str
    goal: float | None = None

    @property
    def ratio(self) -> float:
        """Ours as a multiple of the reference: 1 for two zeros, infinite where only the reference is one."""
        if self.ours == self.reference:
            return 1.0
        return self.ours / self.reference if self.reference else math.inf

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.ratio <= self.goal

    def as_json(self) -> str:
        figures = {"ours": round(self.ours, 4), "reference": round(self.reference, 4)}
        about = {
            "reference_name": self.reference_name,
            "ratio": round(self.ratio, 3) if math.isfinite(self.ratio) else None,
        }
        return json.dumps({"measure": self.measure, **figures, **about, "goal": self.goal, "met": self.met})

    def __str__(self) -> str:
        verdict = "" if self.goal is None else f"  goal {self.goal:g}: {'met' if self.met else 'not met'}"
        figures = f"{self.ours:>10,.2f}{self.reference:>10,.2f} {self.reference_name:<16}{self.ratio:>6.2f} x"
        return f"{self.measure:<44}{figures}{verdict}"


def print_measured(measured: Iterable[Measured], as_json: bool) -> None:
    """Print each figure, ours first, then the reference's and their ratio."""
    for each in measured:
        print(each.as_json() if as_json else each, flush=True)
