"""Plans: what a run would do and why, what it would cost, all of it known before anything is done."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import chain
from typing import Any

from pydantic import Field
from pyspark.sql import functions as F

from schemas.corpus import Settings
from schemas.runs import RUNS
from tasks.job import Backlog, counted, pending_sources, rejections
from tasks.parts import Part
from tasks.prompts import build_prompt
from tasks.recipes import Recipe
from tasks.run import Stage
from tasks.selection import Selection
from warehouse.tables import Warehouse

REMEMBERED_RUNS = 50
SAMPLED = 64
# What chat templates put around a turn: its beginning, its role, its end, and two line ends.
TOKENS_OF_A_TURN = 5

Ledger = Mapping[str, Any]
"""A row of `runs`."""


class Why(StrEnum):
    """Why a source is pending."""

    NEW_SOURCE = "new source"
    CHANGED_SOURCE = "changed source"
    CHANGED_RECIPE = "changed recipe"
    FAILED_BEFORE = "failed before"


class What(Settings):
    """What a run is asked to do: a whole night, unless it names a part of it; see `tasks.selection.Selection`.

    Attributes:
        part: the stage that is meant; a night where there is none.
        recipe: the only recipe that is meant.
    """

    part: Part | None = None
    since: date | None = None
    until: date | None = None
    recipe: str = ""
    where: str = ""
    failed_only: bool = False
    limit_tokens: int | None = None

    @property
    def selection(self) -> Selection:
        """The part of the pending work that is meant."""
        return Selection(self.since, self.until, self.where, self.failed_only, self.limit_tokens)


class StagePlan(Settings):
    """What one stage would do.

    Attributes:
        pending: sources by the reason why they are pending.
        more: sources that the stages before it may add, at most; none where these have nothing to do.
        tokens: that models would read and write over all of them; none where no such work was measured yet.
        seconds: that the stage would take; none likewise.
        cost: of the tokens, in the currency of the corpus file's price.
    """

    stage: str
    pending: dict[Why, int] = Field(default={}, description="sources by why they are pending")
    more: int = 0
    tokens: int | None = None
    seconds: float | None = None
    cost: float | None = None

    @property
    def rows(self) -> int:
        """Sources in all, those of the stages before included."""
        return sum(self.pending.values()) + self.more


class Plan(Settings):
    """What a run would do, as it stood when it was planned.

    Attributes:
        corpus: name of a shipped corpus, or path of a corpus file.
        corpus_id: fingerprint of what the corpus file said.
        what: what the run is asked to do.
        table_versions: Delta versions of the tables that the plan was made from.
        holes: logical dates in the range on which nothing was fetched.
        stages: in the order in which they would run.
    """

    corpus: str
    corpus_id: str
    what: What
    table_versions: dict[str, int]
    holes: tuple[date, ...] = ()
    stages: tuple[StagePlan, ...] = ()


class Measured(Settings):
    """What earlier runs of a stage took.

    Attributes:
        idle: seconds where there was nothing to work on; none where that never was.
        busy: seconds where there was something; none where that never was.
        seconds: of one source; none where none was worked on.
        tokens: of one source, read and written; none likewise.
        written: tokens that a model wrote about one source; none likewise.
        requests: times that a model was asked about one source, retries included; none where none was.
        filled: tokens that a request wrote, as a share of the most that its recipe allows; none likewise.
        seconds_per_token: of a source that cost tokens; none where none did.
    """

    idle: float | None = None
    busy: float | None = None
    seconds: float | None = None
    tokens: float | None = None
    written: float | None = None
    requests: float | None = None
    filled: float | None = None
    seconds_per_token: float | None = None

    def over(self, rows: int) -> tuple[int | None, float | None]:
        """Tokens and seconds of so many sources."""
        if not rows:
            return 0, self.idle
        tokens = None if self.tokens is None else round(rows * self.tokens)
        seconds = None if self.seconds is None else (self.idle or 0.0) + rows * self.seconds
        return tokens, seconds

    def reading(self, prompt: float, alike: "Measured", most: int | None = None) -> "Measured":
        """The same for sources whose prompts are known: the model reads those, and writes what it wrote before.

        Args:
            prompt: tokens that a model reads about one source when it is asked once.
            alike: what stages of the same kind took, which stands in for what this one never did.
            most: tokens that its recipe allows a model to write; where it never ran, as large a share of them as the
                others' models wrote of theirs.
        """
        requests = _first_known(self.requests, alike.requests) or 1.0
        share = None if alike.filled is None or most is None else requests * alike.filled * most
        written = _first_known(self.written, share, alike.written)
        rate = _first_known(self.seconds_per_token, alike.seconds_per_token)
        tokens = None if written is None else requests * prompt + written
        seconds = None if tokens is None or rate is None else tokens * rate
        return self.model_copy(update={"tokens": tokens, "seconds": seconds})


def _first_known(*figures: float | None) -> float | None:
    return next((figure for figure in figures if figure is not None), None)


def pending_counts(jobs: Mapping[str, tuple[Stage, Backlog]]) -> dict[str, int]:
    """How many sources of each job are pending, in one query: of a night that finds nothing to do it is all there is.

    Args:
        jobs: by name, each with a stage that reads for it.
    """
    pending = [pending_sources(stage, job) for stage, job in jobs.values()]
    return dict(zip(jobs, counted(pending), strict=True)) if pending else {}


def prompt_tokens(
    stage: Stage, job: Backlog, recipe: Recipe, count_tokens: Callable[[list[str]], list[int]], turn: int
) -> float:
    """Tokens of all prompts of one source, on average over a sample of what is pending; 0 where nothing is.

    Args:
        turn: tokens that the model's chat template puts around each turn.
    """
    pending = pending_sources(stage, job)
    shown = [name for name in ("heading_path", "text", "question") if name in pending.columns]
    # Keys are hashes: the first by key are a sample.
    sample = pending.orderBy(job.source_key).limit(SAMPLED).select(*shown).collect()
    prompts = [build_prompt(recipe, row.asDict()) for row in sample]
    counts = count_tokens(["\n".join(message["content"] for message in prompt) for prompt in prompts])
    turns = [turn * len(prompt) for prompt in prompts]
    return recipe.samples * statistics.fmean(map(sum, zip(counts, turns, strict=True))) if prompts else 0.0


def text_tokens(stage: Stage, job: Backlog) -> float:
    """Tokens of one pending source by its own column `tokens`, on average; 0 where nothing is pending."""
    (row,) = pending_sources(stage, job).agg(F.avg("tokens").alias("tokens")).collect()
    return row["tokens"] or 0.0


def pending_by_reason(stage: Stage, job: Backlog) -> dict[Why, int]:
    """Pending sources of a job, counted by why they are pending, in one query."""
    source, *_ = job.key
    known = job.results.select(source).distinct().withColumn("known", F.lit(True))
    same = job.results.select(*job.key).distinct().withColumn("same", F.lit(True))
    failed = rejections(stage, job).select(F.col("rejected_key").alias(job.source_key)).distinct()
    pending = pending_sources(stage, job).join(failed.withColumn("failed", F.lit(True)), job.source_key, "left")
    pending = pending.join(same, list(job.key), "left").join(known, source, "left")
    why = (
        F.when(F.col("failed"), Why.FAILED_BEFORE)
        .when(F.col("same"), Why.CHANGED_RECIPE)
        .when(F.col("known"), Why.CHANGED_SOURCE)
        .otherwise(Why.NEW_SOURCE)
    )
    found = pending.groupBy(why.alias("why")).count().orderBy("why").collect()
    return {Why(row["why"]): row["count"] for row in found}


def plan_stage(
    name: str, pending: Mapping[Why, int], more: int, measured: Measured, price: float | None = None
) -> StagePlan:
    """A stage's plan.

    Args:
        more: sources that the stages before it may add.
        price: of a million tokens.
    """
    tokens, seconds = measured.over(sum(pending.values()) + more)
    spent = cost(tokens, price)
    return StagePlan(stage=name, pending=dict(pending), more=more, tokens=tokens, seconds=seconds, cost=spent)


def cost(tokens: int | None, price: float | None) -> float | None:
    """What tokens cost at a price of a million; none where either is unknown."""
    return None if price is None or tokens is None else tokens * price / 1_000_000


@dataclass(frozen=True)
class Remembered:
    """Ledgers of the newest runs, by the name of their stage."""

    ledgers: Mapping[str, Sequence[Ledger]]

    def of(self, stage: str) -> Measured:
        """What a stage took."""
        return measured_of(self.ledgers.get(stage, ()))

    def of_recipes(self, table: str) -> Measured:
        """What the recipes of a table took, or where none of them ever ran those of any table."""
        names = [name for name in self.ledgers if ":" in name]
        alike = measured_of(chain.from_iterable(self.ledgers[name] for name in names if name.startswith(f"{table}:")))
        return alike if alike.tokens else measured_of(chain.from_iterable(self.ledgers[name] for name in names))


def remembered_stages(warehouse: Warehouse, most: Mapping[str, int]) -> Remembered:
    """What stages took in the newest runs.

    Args:
        most: tokens that a request of a stage may write, by its name.
    """
    runs = warehouse.read(RUNS).where("state = 'completed'")
    newest = runs.select("run_id").distinct().orderBy(F.desc("run_id")).limit(REMEMBERED_RUNS)
    columns = ("stage", "rows_in", "skipped", "prompt_tokens", "output_tokens", "requests", "seconds")
    rows = warehouse.arrow(RUNS, runs.join(newest, "run_id", "left_semi").select(*columns)).to_pylist()
    by_stage: dict[str, list[Ledger]] = {}
    for row in rows:
        by_stage.setdefault(row["stage"], []).append(row | {"most": most.get(row["stage"])})
    return Remembered(by_stage)


def measured_of(ledgers: Iterable[Ledger]) -> Measured:
    """What a stage's ledgers say about the next one.

    Args:
        ledgers: rows of `runs` with rows_in, skipped, prompt_tokens, output_tokens, requests and seconds, and `most`,
            the tokens that a request may write.
    """
    worked = [(ledger["rows_in"] - ledger["skipped"], ledger) for ledger in ledgers]
    busy: Sequence[tuple[float, Ledger]] = [(rows, ledger) for rows, ledger in worked if rows > 0]
    nothing = [ledger["seconds"] for rows, ledger in worked if rows <= 0]
    idle = statistics.median(nothing) if nothing else None
    if not busy:
        return Measured(idle=idle)
    rows = sum(rows for rows, _ in busy)
    seconds = sum(max(ledger["seconds"] - (idle or 0.0), 0.0) for _, ledger in busy)
    tokens = sum(ledger["prompt_tokens"] + ledger["output_tokens"] for _, ledger in busy)
    written = sum(ledger["output_tokens"] for _, ledger in busy)
    asked = [(rows, ledger) for rows, ledger in busy if ledger.get("requests")]  # null in rows from before it was kept
    bounded = [ledger for _, ledger in asked if ledger.get("most")]
    return Measured(
        idle=idle,
        busy=statistics.median(ledger["seconds"] for _, ledger in busy),
        seconds=seconds / rows,
        tokens=tokens / rows,
        written=written / rows,
        requests=_ratio(sum(ledger["requests"] for _, ledger in asked), sum(rows for rows, _ in asked)),
        filled=_ratio(
            sum(ledger["output_tokens"] for ledger in bounded),
            sum(ledger["requests"] * ledger["most"] for ledger in bounded),
        ),
        seconds_per_token=_ratio(seconds, tokens),
    )


def _ratio(some: float, of: float) -> float | None:
    return some / of if of else None
