"""How far are a plan's tokens and seconds from what the run then takes, on the demo's corpus with the real models?

    python -m bench.estimates [--json]

A first night is the demo's. Then its recipe for keywords is to cover twice as many passages, and another recipe that
was never run is added: the next night is planned, run, and compared with its plan stage by stage.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.report import Measured, print_measured
from schemas.corpus import CORPORA

TOKENS_OFF, SECONDS_OFF = 0.2, 0.5
FIRST, FURTHER = "limit = 24", "limit = 48"
NEVER_RUN = """
[[recipes]]
name = "facts"
pages = ['/bisect\\.html$', '/copy\\.html$']
limit = 12
"""


def nightjar(*arguments: str) -> dict[str, Any]:
    """What a command prints as JSON; nothing of a command that prints none."""
    command = [sys.executable, "-c", "from flows.cli import main; main()", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"nightjar {' '.join(arguments)} failed: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if "--json" in arguments else {}
    return found


def corpus_files(folder: Path) -> tuple[str, str]:
    """The demo's corpus in a warehouse of its own, as it is and as it is changed."""
    written = (CORPORA / "pydoc.toml").read_text(encoding="utf-8")
    own = written.replace('name = "pydoc"', f'name = "pydoc"\nwarehouse = "{folder / "root"}"', 1)
    first, changed = folder / "first.toml", folder / "changed.toml"
    first.write_text(own, encoding="utf-8")
    changed.write_text(own.replace(FIRST, FURTHER, 1) + NEVER_RUN, encoding="utf-8")
    return str(first), str(changed)


def off(planned: float, took: float) -> float:
    """How far a plan was off, as a share of what it took."""
    return abs(planned - took) / took if took else float(planned > 0)


def compared(plan: dict[str, Any], run: dict[str, Any]) -> list[Measured]:
    """The whole plan, then every stage of it that had something to do."""
    took = {stage["stage"]: stage for stage in run["stages"]}
    stages = [stage for stage in plan["stages"] if stage["stage"] in took]
    busy = [stage for stage in stages if stage["pending"]]
    tokens, seconds = (sum(stage[name] or 0 for stage in stages) for name in ("tokens", "seconds"))
    whole_seconds = sum(took[stage["stage"]]["seconds"] for stage in stages)
    return [
        Measured("night: tokens off, share", off(tokens, run["tokens"]), TOKENS_OFF, "allowed", 1),
        Measured("night: seconds off, share", off(seconds, whole_seconds), SECONDS_OFF, "allowed", 1),
        *(
            Measured(f"{stage['stage']}: {name} planned", stage[name] or 0, took[stage["stage"]][name], "as run")
            for stage in busy
            for name in ("tokens", "seconds")
        ),
    ]


def main(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Plan and run the second night, and print how far they are apart."""
    with tempfile.TemporaryDirectory() as scratch:
        first, changed = corpus_files(Path(scratch))
        nightjar("nightly", first)
        plan = nightjar("plan", changed, "--json")
        nightjar("nightly", changed)
        (run,) = nightjar("runs", changed, "--limit", "1", "--json")["runs"]
    print_measured(compared(plan, run), as_json)


if __name__ == "__main__":
    typer.run(main)
