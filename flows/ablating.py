"""The ablation: PromptPRF's grid and its baselines over the live index, measured by judged queries."""

from collections.abc import Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import pyarrow as pa
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as RichTable

from flows import opening
from flows.report import SHOWN_OF_A_FINGERPRINT
from models.opening import token_counter
from schemas.chunks import CHUNKS, SHOWN_TO_MODELS
from schemas.corpus import Corpus, JudgedSettings, PassagesSettings, load_corpus
from schemas.errors import CorpusError
from schemas.features import FEATURES
from schemas.metrics import METRICS
from schemas.rankings import RANKINGS
from schemas.table import Table
from serving.experiment import Configuration, Experiment, StoredFeature
from serving.methods import NO_FEEDBACK, grid, rankings
from serving.search import Scored, open_index
from tasks.judged import Judged, read_judged
from tasks.measures import Compared, Measurer, compare
from tasks.run import Run, Stage
from warehouse.stored import StoredFields
from warehouse.tables import Warehouse

TEST = "two-sided paired t-test against no feedback, Holm-corrected over the configurations of each measure"
SIGNIFICANT = 0.05
DESCRIBED = ("method", "feature", "model_id", "depth", "positional")


def ablate(corpus_name: str) -> dict[str, Any]:
    """Run what is missing of the grid over the live index, and compare all of it with no feedback.

    No language model is opened: feedback comes from the table `features`.

    Returns:
        As `nightjar ablate --json` prints it: one object per configuration with means, differences and p values.

    Raises:
        CorpusError: the corpus judges no queries, or their files cannot be read.
        BundleError: nothing is published, or the live bundle is damaged.
        UnknownName: ir-measures does not know a measure.
    """
    with opening.open_run(corpus_name, None) as run:
        judging, passages = _judging(run.corpus)
        judged = read_judged(judging, passages)
        measurer = Measurer(judging.measures, judged.qrels)
        with run.stage("ablate") as stage:
            experiment = _experiment(run, judging, judged)
            configurations = {
                each.configuration_id(experiment, judged.judged_id): each
                for each in grid(stored_features(run.warehouse), judging.depths)
            }
            computed = _run_missing(stage, experiment, configurations, judged, measurer)
        return {
            "corpus": run.corpus.name,
            "index_id": experiment.bundle.manifest.index_id,
            "encoder_id": experiment.bundle.manifest.encoder_id,
            "judged_id": judged.judged_id,
            "queries": len(judged.queries),
            "computed": computed,
            "test": TEST,
            "configurations": _compared(run.warehouse, configurations, list(judged.queries), judging.measures),
        }


def compared_with_last(corpus_name: str, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Means of every configuration before and after: of the version measured before the live one, and of the live one.

    Args:
        found: what `ablate` has returned.

    Returns:
        One object per configuration and measure; `before` is null for what was not measured then.
    """
    warehouse = opening.open_warehouse(load_corpus(corpus_name))
    before = _last_means(warehouse, found["index_id"])
    return [
        {name: row[name] for name in DESCRIBED}
        | {"measure": measure, "before": before.get((*(row[name] for name in DESCRIBED), measure))}
        | {"after": figures["mean"]}
        for row in found["configurations"]
        for measure, figures in row["measures"].items()
    ]


def _last_means(warehouse: Warehouse, index_id: str) -> dict[tuple[Any, ...], float]:
    """Means by configuration and measure, of the index version that was measured last before this one."""
    metrics = warehouse.read(METRICS)
    this_one = F.max(F.when(F.col("index_id") == index_id, F.col("run_id")))
    first = metrics.agg(this_one).collect()[0][0]
    others = metrics.where((F.col("index_id") != index_id) & (F.col("run_id") < F.lit(first)))
    last = others.select(F.max_by("index_id", "run_id").alias("index_id"))
    means = others.join(last, "index_id", "left_semi").groupBy(*DESCRIBED, "measure").agg(F.mean("value").alias("mean"))
    rows = warehouse.arrow(METRICS, means).to_pylist()
    return {tuple(row[name] for name in (*DESCRIBED, "measure")): row["mean"] for row in rows}


def stored_features(warehouse: Warehouse) -> list[StoredFeature]:
    """What every recipe and language model has written about the live texts that may be shown to one."""
    live = warehouse.read(CHUNKS).where(SHOWN_TO_MODELS).select("text_hash").distinct()
    columns = ("feature", "recipe_id", "model_id", "text_hash", "text")
    rows = warehouse.arrow(FEATURES, warehouse.read(FEATURES).select(*columns).join(live, "text_hash", "left_semi"))
    texts: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in rows.select(list(columns)).to_pylist():
        texts.setdefault((row["feature"], row["recipe_id"], row["model_id"]), {})[row["text_hash"]] = row["text"]
    return [StoredFeature(*named, texts[named]) for named in sorted(texts)]


def _judging(corpus: Corpus) -> tuple[JudgedSettings, PassagesSettings]:
    if corpus.judged is None or corpus.passages is None:
        raise CorpusError(
            "names no judged queries", where=corpus.name, remedy="Add [passages] and [judged] to the corpus file"
        )
    return corpus.judged, corpus.passages


def _experiment(run: Run, judging: JudgedSettings, judged: Judged) -> Experiment:
    open_encoder = partial(opening.encoder, run.corpus.encoder, run.progress)
    count_tokens = token_counter(run.corpus.encoder)
    index = open_index(run.corpus.indexes, open_encoder, count_tokens, verify=True)
    return Experiment(
        index.bundle,
        open_encoder,
        count_tokens,
        list(judged.queries.values()),
        results=judging.results,
        deepest=max(judging.depths),
    )


def _run_missing(
    stage: Stage,
    experiment: Experiment,
    configurations: Mapping[str, Configuration],
    judged: Judged,
    measurer: Measurer,
) -> int:
    """Run and measure every configuration without metrics, one commit each. Returns how many there were.

    Rankings come first: a kill between the two leaves the configuration without metrics, and so to be run again.
    """
    stored = stage.read(METRICS).select("configuration_id").distinct()
    known = set(stage.run.warehouse.arrow(METRICS, stored)["configuration_id"].to_pylist())
    missing = {key: each for key, each in configurations.items() if key not in known}
    stage.ledger.rows_in, stage.ledger.skipped = len(configurations), len(configurations) - len(missing)
    stage.run.progress.begin("ablate", len(missing), "configurations")
    try:
        for key, configuration in missing.items():
            ranked = _ranked(experiment, configuration, key, judged)
            values = measurer(_as_run(ranked))
            stage.ledger.rows_out += stage.append(RANKINGS, _unstamped(RANKINGS, ranked))
            stage.ledger.rows_out += stage.append(METRICS, _metrics(experiment, configuration, key, values))
            stage.run.progress.advance(1)
    finally:
        stage.run.progress.end()
    return len(missing)


def _ranked(
    experiment: Experiment, configuration: Configuration, configuration_id: str, judged: Judged
) -> list[dict[str, Any]]:
    """Rows of `rankings` without `run_id`."""
    found = zip(judged.queries, rankings(experiment, configuration), strict=True)
    same = {"configuration_id": configuration_id, "index_id": experiment.bundle.manifest.index_id}
    return [
        {**same, "query_id": query_id, **row}
        for query_id, scored in found
        for row in ranked_chunks(experiment.bundle.stored, scored, experiment.results)
    ]


def ranked_chunks(stored: StoredFields, scored: Scored, results: int) -> list[dict[str, Any]]:
    """Passages of ranked texts, best first; those with one score as trec_eval puts them, by descending URL.

    So trec_eval measures ranks and scores alike.
    """
    rows = [
        {"chunk_id": chunk_id, "url": url, "score": score}
        for number, score in scored
        for chunk_id, url in stored.chunks_with(number)
    ]
    rows.sort(key=itemgetter("score", "url"), reverse=True)
    return [{"rank": rank, **row} for rank, row in enumerate(rows[:results], start=1)]


def _as_run(ranked: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[str, float]]]:
    """Ranks count, not scores: of passages that tie, ir-measures puts another first for RR@10 than for nDCG@10."""
    run: dict[str, list[tuple[str, float]]] = {}
    for row in ranked:
        run.setdefault(row["query_id"], []).append((row["url"], -float(row["rank"])))
    return run


def _metrics(
    experiment: Experiment,
    configuration: Configuration,
    configuration_id: str,
    values: Mapping[tuple[str, str], float],
) -> pa.Table:
    """Rows of `metrics` without `run_id`."""
    manifest = experiment.bundle.manifest
    same = {
        "configuration_id": configuration_id,
        "index_id": manifest.index_id,
        "encoder_id": manifest.encoder_id,
        **configuration.described,
    }
    rows = [
        {**same, "query_id": query_id, "measure": measure, "value": value}
        for (query_id, measure), value in values.items()
    ]
    return _unstamped(METRICS, rows)


def _unstamped(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows of a table that the stage is still to stamp."""
    return pa.Table.from_pylist(rows, schema=table.unstamped)


def _compared(
    warehouse: Warehouse, configurations: Mapping[str, Configuration], query_ids: Sequence[str], measures: Sequence[str]
) -> list[dict[str, Any]]:
    """Every configuration with its figures, from the stored metrics."""
    mine = warehouse.read(METRICS).where(F.col("configuration_id").isin(list(configurations)))
    columns = ("configuration_id", "query_id", "measure", "value")
    rows = warehouse.arrow(METRICS, mine.select(*columns)).to_pylist()
    value = {(row["configuration_id"], row["measure"], row["query_id"]): row["value"] for row in rows}
    baseline = next(key for key, each in configurations.items() if each.method == NO_FEEDBACK)
    found: dict[str, dict[str, Compared]] = {}
    for measure in measures:
        values = {key: [value[key, measure, query] for query in query_ids] for key in configurations}
        others = {key: of_queries for key, of_queries in values.items() if key != baseline}
        found[measure] = compare(values[baseline], others) | {baseline: _itself(values[baseline])}
    return [
        {
            "configuration_id": key,
            **configuration.described,
            "measures": {measure: vars(found[measure][key]) for measure in measures},
        }
        for key, configuration in configurations.items()
    ]


def _itself(values: Sequence[float]) -> Compared:
    return Compared(sum(values) / len(values), 0.0, 1.0, 1.0)


def print_ablation(console: Console, found: Mapping[str, Any]) -> None:
    """One row per configuration: means, and a star where one differs from no feedback by more than chance."""
    measures = list(found["configurations"][0]["measures"])
    title = f"{found['corpus']}: {found['queries']:,} judged queries over index {found['index_id']}"
    table = RichTable(title=title, title_justify="left", padding=0)
    for heading in ("method", "feature", "extractor", "depth", "ranks"):
        table.add_column(heading)
    for measure in measures:
        table.add_column(measure, justify="right")
    for row in found["configurations"]:
        table.add_row(*_named(row), *(_figure(row["measures"][measure]) for measure in measures))
    console.print(table)
    console.print(f"* p < {SIGNIFICANT}: {found['test']}.")
    stored = len(found["configurations"]) - found["computed"]
    console.print(f"{found['computed']} configurations were run now, {stored} were stored.")


def _named(row: Mapping[str, Any]) -> tuple[str, ...]:
    ranks = {None: "", True: "yes", False: "no"}[row["positional"]]
    extractor = (row["model_id"] or "")[:SHOWN_OF_A_FINGERPRINT]
    depth = "" if row["depth"] is None else str(row["depth"])
    return row["method"], row["feature"] or "", extractor, depth, ranks


def _figure(figures: Mapping[str, float]) -> str:
    return f"{figures['mean']:.4f}{'*' if figures['corrected'] < SIGNIFICANT else ' '}"
