"""Plans of a night or of a part of it: made without running anything, and refused once they are stale."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from pydantic import ValidationError
from pyspark.sql import functions as F

from flows import opening
from flows.opening import open_run
from models.opening import encoder_id, language_model_id, prompt_counter, sparse_encoder_id
from schemas.catalog import TABLES
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus
from schemas.errors import NightjarError, UnknownName
from schemas.hashing import fingerprint
from schemas.pages import PAGES
from schemas.runs import RUNS
from tasks import documents, embeddings, passages, sparse_embeddings
from tasks.composition import composition_of
from tasks.job import Backlog
from tasks.orders import Order, backlog, orders
from tasks.parts import Part, part_of
from tasks.planning import (
    TOKENS_OF_A_TURN,
    Measured,
    Plan,
    Remembered,
    StagePlan,
    What,
    pending_by_reason,
    pending_counts,
    plan_stage,
    prompt_tokens,
    remembered_stages,
    text_tokens,
)
from tasks.run import Ledger, Run, Stage

# Stages that are no jobs: they take what they take, whether there is little to do or much.
BEFORE = ("crawl", "warc", "folder")
WITHOUT_SELECTION = "Leave out --since, --until, --where and --failed-only"
WRITE_A_PLAN = "Write one: nightjar plan CORPUS --output FILE"
AFTER = ("index", "round_trip", "gate", "publish")


@dataclass(frozen=True)
class PlannedJob:
    """A job of a corpus under the name of its stage.

    Attributes:
        producer_id: fingerprint of what does the work.
        order: the recipe and what the corpus file asks for, where a language model does it.
    """

    stage: str
    part: Part
    producer_id: str
    job: Callable[[Stage], Backlog]
    order: Order | None = None

    @property
    def name(self) -> str:
        """Name of the recipe, if it is one."""
        return self.order.recipe.name if self.order else ""


def plan(corpus: str, what: What) -> Plan:
    """What a run would do now; reads tables and writes nothing.

    Args:
        corpus: name of a shipped corpus, or path of a corpus file.

    Raises:
        NightjarError: there is no such recipe or condition, or nothing to choose by.
    """
    with open_run(corpus, None, what.selection) as run:
        return plan_run(run, corpus, what)


def plan_run(run: Run, corpus: str, what: What) -> Plan:
    """`plan` in a run that is open, and that selects what is asked."""
    part = what.part
    every = list(jobs(run))
    check_asked(run, part, what.recipe, every)
    chosen = [each for each in every if part in (None, each.part) and what.recipe in ("", each.name)]
    # Beside each other: the first query of a session is mostly spent in one thread, on loading what plans it.
    with ThreadPoolExecutor(1) as beside:
        remembering = beside.submit(remembered_stages, run.warehouse, _most_written(every))
        opened = {each.stage: _opened(run, each) for each in chosen}
        counts = pending_counts(opened)
        remembered = remembering.result()
    planned = list(_stages(run, chosen, opened, counts, remembered))
    busy = any(stage.rows for stage in planned)
    if part is None:
        planned = [*_fixed(run, BEFORE, remembered), *planned]
    if part in (None, Part.INDEX):
        planned += _fixed(run, AFTER, remembered, busy or part is not None)
    return Plan(
        corpus=corpus,
        corpus_id=corpus_id(run.corpus, every),
        what=what,
        table_versions=versions(run),
        holes=holes(run) if run.selection.dated else (),
        stages=tuple(planned),
    )


def pending_now(run: Run) -> dict[str, int]:
    """Sources that are pending, by the stage that would work on them; stages before may add to those after them."""
    return pending_counts({each.stage: _opened(run, each) for each in jobs(run)})


def check_asked(run: Run, part: Part | None, recipe: str, every: Iterable[PlannedJob]) -> None:
    """See to it that a part of a night can be what it is asked to be: nothing is silently done more widely.

    Raises:
        UnknownName: the part has no such recipe.
        NightjarError: it has no dates, conditions or failures to choose by.
    """
    known = [each.name for each in every if each.order and part in (None, each.part)]
    if recipe and recipe not in known:
        raise UnknownName("recipe", recipe, known)
    if part is Part.INDEX and run.selection.narrows:
        raise NightjarError("an index is built of all live chunks", where="--stage index", remedy=WITHOUT_SELECTION)
    if part is Part.CONTEXTS and run.selection.dated:
        raise NightjarError("questions have no date", where="--stage contexts", remedy="Leave out --since and --until")


def jobs(run: Run) -> Iterator[PlannedJob]:
    """The jobs of a corpus in the order of a night."""
    corpus, progress = run.corpus, run.progress
    encoder, composition = encoder_id(corpus.encoder), composition_of(corpus)
    open_encoder = partial(opening.encoder, corpus.encoder, progress)
    cutting = partial(passages.cutting, open_encoder=open_encoder)
    yield PlannedJob("extract", Part.EXTRACT, documents.extractor_of(corpus), documents.extraction)
    yield PlannedJob("chunk", Part.CHUNK, passages.chunker_of(corpus), cutting)
    for order in orders(corpus, corpus.recipes, language_model_id(corpus.language_model)) if corpus.recipes else ():
        work = partial(backlog, order=order)
        yield PlannedJob(order.stage, part_of(order.recipe.table), order.recipe_id, work, order)
    encoding = partial(embeddings.encoding, encoder_id=encoder, open_encoder=open_encoder, composition=composition)
    yield PlannedJob("embed", Part.EMBED, composition.vectors_id(encoder), encoding)
    if corpus.sparse_encoder:
        sparse = sparse_encoder_id(corpus.sparse_encoder)
        open_sparse = partial(opening.sparse_encoder, corpus.sparse_encoder, progress)
        job = partial(
            sparse_embeddings.sparse_encoding, encoder_id=sparse, open_encoder=open_sparse, composition=composition
        )
        yield PlannedJob("sparse", Part.EMBED, composition.vectors_id(sparse), job)


def read_plan(path: Path) -> Plan:
    """A plan from its file.

    Raises:
        NightjarError: there is no such file, or it holds no plan.
    """
    try:
        return Plan.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NightjarError(f"cannot be read: {error.strerror}", where=str(path), remedy=WRITE_A_PLAN) from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise NightjarError("holds no plan", where=str(path), remedy=WRITE_A_PLAN) from error


def corpus_id(corpus: Corpus, every: Iterable[PlannedJob]) -> str:
    """Fingerprint of what the corpus file says and of everything that would do the work."""
    return fingerprint([corpus.model_dump(mode="json"), [each.producer_id for each in every]])


def versions(run: Run) -> dict[str, int]:
    """Versions of the tables that a plan depends on: all but the ledger."""
    return {table.name: run.pin(table) for table in TABLES.values() if table is not RUNS}


def refuse_stale(plan: Plan) -> None:
    """See to it that nothing has changed since a plan was made.

    Raises:
        NightjarError: a table or the corpus file has changed.
    """
    with open_run(plan.corpus, None, plan.what.selection) as run:
        now = versions(run)
        moved = [name for name, version in plan.table_versions.items() if now.get(name) != version]
        changed = f"tables {', '.join(moved)} have" if moved else ""
        if not moved and plan.corpus_id != corpus_id(run.corpus, jobs(run)):
            changed = "the corpus file, a recipe or a model has"
    if changed:
        raise NightjarError(
            f"the plan is stale: {changed} changed since it was made",
            where=plan.corpus,
            left_behind="Nothing was done",
            remedy="Plan again",
        )


def holes(run: Run) -> tuple[date, ...]:
    """Logical dates in the selected range on which nothing was fetched or read."""
    pages = _stage(run, "plan").read(PAGES)
    fetched = run.warehouse.arrow(PAGES, run.selection.between(pages).select("ds").distinct())
    found = {day for day in fetched["ds"].to_pylist() if day}
    first = run.selection.since or min(found, default=run.ds)
    last = run.selection.until or run.ds
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return tuple(day for day in days if day not in found)


def _stages(
    run: Run,
    chosen: list[PlannedJob],
    opened: Mapping[str, tuple[Stage, Backlog]],
    counts: Mapping[str, int],
    remembered: Remembered,
) -> Iterator[StagePlan]:
    """Plans of the jobs, each with what those before it may add."""
    coming: dict[Part, int] = {}  # sources that the stages so far add to each part
    # Features that are encoded the same night; queries are judged first, after the index is built.
    appended = late = 0
    for each in chosen:
        stage, job = opened[each.stage]
        pending = pending_by_reason(stage, job) if counts[each.stage] else {}
        more = coming.get(each.part, 0)
        if each.part is Part.EMBED and appended:
            more += min(appended, job.sources.count() - counts[each.stage])
        if each.stage == "embed":
            more += late
        if each.order and each.order.asked.limit is not None:
            more = min(more, each.order.asked.limit)
        took = _expected(run, each, stage, job, remembered) if pending else remembered.of(each.stage)
        planned = plan_stage(each.stage, pending, more, took, run.corpus.language_model.price)
        if each.part is Part.EXTRACT:
            coming[Part.CHUNK] = planned.rows
        if each.part is Part.CHUNK and planned.rows:
            texts = math.ceil(planned.rows * _texts_per_document(run))
            coming |= {Part.FEATURES: texts, Part.QUERIES: texts, Part.EMBED: texts}
        if each.name in run.corpus.encode.features:
            appended += sum(pending.values())
        if each.part is Part.FEATURES and each.name in run.corpus.encode.late:
            late += sum(pending.values())
        yield planned


def _expected(run: Run, each: PlannedJob, stage: Stage, job: Backlog, remembered: Remembered) -> Measured:
    """What a job's pending sources should take: by their own lengths where models read them, else as measured."""
    took = remembered.of(each.stage)
    if each.part is Part.EMBED:
        return took.reading(text_tokens(stage, job), Measured(written=0.0))
    settings = run.corpus.language_model
    counter = prompt_counter(settings) if each.order else None
    if counter is None or each.order is None:
        return took
    recipe = each.order.recipe
    turn = 0 if settings.engine == "fake" else TOKENS_OF_A_TURN  # the fake has no chat template
    prompt = prompt_tokens(stage, job, recipe, counter.count, turn)
    return took.reading(prompt, remembered.of_recipes(recipe.table), recipe.decoding.max_tokens)


def _most_written(every: Iterable[PlannedJob]) -> dict[str, int]:
    """Tokens that a request of each recipe's stage may write."""
    return {each.stage: each.order.recipe.decoding.max_tokens for each in every if each.order}


def _texts_per_document(run: Run) -> float:
    """Distinct texts of a live document, on average; 0 where there are none yet."""
    live = _stage(run, "plan").read(CHUNKS).where("live")
    counted = live.agg(F.countDistinct("text_hash").alias("texts"), F.countDistinct("doc_id").alias("documents"))
    (row,) = counted.collect()
    return row["texts"] / row["documents"] if row["documents"] else 0.0


def _fixed(run: Run, names: tuple[str, ...], remembered: Remembered, busy: bool = True) -> Iterator[StagePlan]:
    settings = {"crawl": run.corpus.crawl, "warc": run.corpus.warc, "folder": run.corpus.folder}
    for name in names:
        if settings.get(name, True):
            took = remembered.of(name)
            yield StagePlan(stage=name, tokens=0, seconds=took.busy if busy and took.busy is not None else took.idle)


def _opened(run: Run, each: PlannedJob) -> tuple[Stage, Backlog]:
    stage = _stage(run, each.stage)
    return stage, each.job(stage)


def _stage(run: Run, name: str) -> Stage:
    """A stage that is only looked at: it leaves no ledger."""
    return Stage(run, Ledger(name, datetime.now(UTC)))
