"""A plan as a table for people."""

from datetime import timedelta

from rich.console import Console
from rich.table import Table as RichTable

from tasks.planning import Plan, StagePlan, Why


def print_plan(console: Console, plan: Plan) -> None:
    """Stages with what is pending and why, then what it comes to."""
    table = RichTable(title=f"plan for {plan.corpus}", title_justify="left", padding=0)
    table.add_column("stage", no_wrap=True)
    for heading in (*Why, "more, at most", "tokens", "time"):
        table.add_column(heading, justify="right")
    for stage in plan.stages:
        table.add_row(stage.stage, *_figures(stage))
    console.print(table)
    for line in (*_holes(plan), _verdict(plan)):
        console.print(line)


def _figures(stage: StagePlan) -> list[str]:
    counts = [stage.pending.get(why, 0) for why in Why]
    tokens = "not measured" if stage.tokens is None else f"{stage.tokens:,}"
    return [*(f"{count:,}" for count in (*counts, stage.more)), tokens, _time(stage.seconds)]


def _time(seconds: float | None) -> str:
    return "not measured" if seconds is None else str(timedelta(seconds=round(seconds)))


def _holes(plan: Plan) -> list[str]:
    days = ", ".join(f"{day}" for day in plan.holes)
    return [f"Nothing was fetched on {days}: these dates stay holes."] if days else []


def _verdict(plan: Plan) -> str:
    """One line: how much there is to do, and what it costs as far as that was ever measured."""
    pending = sum(sum(stage.pending.values()) for stage in plan.stages)
    if not any(stage.rows for stage in plan.stages):
        return "Nothing is pending."
    unknown = any(stage.tokens is None or stage.seconds is None for stage in plan.stages if stage.rows)
    tokens = sum(stage.tokens or 0 for stage in plan.stages)
    seconds = sum(stage.seconds or 0.0 for stage in plan.stages)
    costs = [stage.cost for stage in plan.stages if stage.cost is not None]
    cost = f", cost {sum(costs):,.2f}" if costs else ""
    measured = " and what was never measured" if unknown else ""
    return f"{pending:,} sources are pending: {tokens:,} tokens, {_time(seconds)}{cost}{measured}."
