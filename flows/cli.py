"""The command line: `nightjar`."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from schemas.corpus import Corpus, load_corpus
from schemas.errors import NightjarError
from tasks.parts import Part

if TYPE_CHECKING:
    from tasks.planning import What

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Nightjar refines web pages into a checked, versioned retrieval index, night after night.",
)

LOOPBACK = "127.0.0.1"
CorpusName = Annotated[str, typer.Argument(help="A corpus file, or the name of one under corpora/, such as pydoc.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


PartName = Annotated[Part | None, typer.Option(help="One stage, or every recipe of one kind; all when left out.")]
Since = Annotated[str, typer.Option(help="Only pages whose body was stored on this date, YYYY-MM-DD, or later.")]
Until = Annotated[str, typer.Option(help="Only pages whose body was stored on this date, YYYY-MM-DD, or before.")]
RecipeName = Annotated[str, typer.Option(help="Only this recipe.")]
Where = Annotated[str, typer.Option(help="SQL condition on the columns of what the stage works on.")]
FailedOnly = Annotated[bool, typer.Option("--failed-only", help="Only what is in quarantine, which is fed back.")]
Force = Annotated[
    bool, typer.Option("--force", help="Publish also what its gates refuse; nightjar indexes shows that it was forced.")
]
LimitTokens = Annotated[int | None, typer.Option(min=1, help="Stop after the batch that reaches so many tokens.")]


@app.command()
def demo() -> None:
    """Build an index of this machine's own Python documentation and ask it three questions.

    Needs no network and no account. Run it again and it finds nothing left to do.
    """
    with _started(load_corpus("pydoc")) as ready:
        from flows.demo import run_demo

        ready()
        run_demo(Console())


@app.command()
def nightly(
    corpus: CorpusName,
    ds: Annotated[str, typer.Option(help="Logical date, YYYY-MM-DD; today (UTC) when left out.")] = "",
    force: Force = False,
) -> None:
    """Bring a corpus up to date: crawl, chunk, describe, embed, check and publish what is new.

    What an earlier run finished is not done again, so a run that was stopped is mended by running it again.
    """
    day = _date(ds)
    loaded = load_corpus(corpus)
    with _started(loaded) as ready:
        from flows.nightly import nightly as flow
        from flows.report import print_closing_table

        ready()
        print_closing_table(Console(), flow(corpus, day, force))


@app.command()
def plan(
    corpus: CorpusName,
    stage: PartName = None,
    since: Since = "",
    until: Until = "",
    recipe: RecipeName = "",
    where: Where = "",
    failed_only: FailedOnly = False,
    limit_tokens: LimitTokens = None,
    output: Annotated[Path | None, typer.Option(help="Write the plan to this file, for nightjar apply.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a night, or with --stage a backfill, would do and why, what it would cost, and do none of it.

    Rows, tokens and seconds are estimated from what earlier runs measured; what no run has measured stays open.
    """
    from flows.planning import plan as planned
    from flows.plans import print_plan

    what = _what(stage, since, until, recipe, where, failed_only, limit_tokens)
    found = planned(corpus, what)
    if output:
        output.write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if as_json:
        _print_json(found.model_dump(mode="json"))
    else:
        print_plan(Console(), found)
        if output:
            print(f"Do it: nightjar apply {output}")


@app.command()
def apply(plan: Annotated[Path, typer.Argument(help="A plan that nightjar plan --output has written.")]) -> None:
    """Do what a plan says, unless something has changed since it was made."""
    from flows.planning import read_plan

    made = read_plan(plan)
    with _started(load_corpus(made.corpus)) as ready:
        from flows.planning import refuse_stale
        from flows.report import print_closing_table

        ready()
        refuse_stale(made)
        print_closing_table(Console(), _run(made.corpus, made.what))


@app.command()
def backfill(
    corpus: CorpusName,
    stage: Annotated[Part, typer.Option(help="What is done: one stage, or every recipe of one kind.")],
    since: Since = "",
    until: Until = "",
    recipe: RecipeName = "",
    where: Where = "",
    failed_only: FailedOnly = False,
    limit_tokens: LimitTokens = None,
) -> None:
    """Plan one stage's work over a part of the corpus, show the plan, and do it. nightjar plan only shows it.

    Nothing is fetched again: pages are extracted anew from their stored bodies. Of every page the newest body counts,
    so that an old date never overwrites newer truth, and a date that nothing was fetched on is told of as a hole.
    """
    what = _what(stage, since, until, recipe, where, failed_only, limit_tokens)
    with _started(load_corpus(corpus)) as ready:
        from flows.report import print_closing_table

        ready()
        print_closing_table(Console(), _run(corpus, what))


@app.command()
def runs(
    corpus: CorpusName,
    limit: Annotated[int, typer.Option(min=1, help="Newest runs shown.")] = 10,
    stage: Annotated[str, typer.Option(help="Only this stage, such as embed, run by run.")] = "",
    stages: Annotated[bool, typer.Option("--stages", help="Every stage under its run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the last runs did: rows, tokens, rates, seconds and cost."""
    from flows.opening import open_warehouse
    from flows.runs import newest_runs, print_runs

    loaded = load_corpus(corpus)
    found = newest_runs(open_warehouse(loaded), loaded, limit, stage)
    if as_json:
        _print_json({"corpus": loaded.name, "runs": found})
    else:
        print_runs(Console(), found, stages)


@app.command()
def search(
    corpus: CorpusName,
    query: Annotated[str, typer.Argument(help="What to look for, in quotes.")],
    k: Annotated[int, typer.Option(min=1, max=1000, help="How many results.")] = 10,
    mode: Annotated[str, typer.Option(help="dense, lexical, sparse or hybrid.")] = "hybrid",
    prf: Annotated[
        str, typer.Option(help="Second pass with this stored feature of the first results, such as keywords.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Search the published index of a corpus."""
    from flows.asking import answer, print_answer

    hits = answer(load_corpus(corpus), query, k=k, mode=mode, prf=prf or None)
    if as_json:
        _print_json({"query": query, "mode": mode, "prf": prf or None, "hits": hits})
    else:
        print_answer(Console(), query, hits)


@app.command()
def serve(
    corpus: CorpusName,
    host: Annotated[
        str, typer.Option(help="Address to listen on; only this machine unless told otherwise.")
    ] = LOOPBACK,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8600,
) -> None:
    """Answer searches over HTTP and on a page, from whatever version is live. Ends with Ctrl-C."""
    from flows.serving import serve_until_stopped

    serve_until_stopped(load_corpus(corpus), host, port)


@app.command()
def status(corpus: CorpusName, as_json: AsJson = False) -> None:
    """Show a corpus's tables, live index, how fresh it is, what is pending or in quarantine, and the last runs."""
    from flows.status import print_status, status_of, watched

    found = status_of(load_corpus(corpus)) | watched(corpus)
    if as_json:
        _print_json(found)
    else:
        print_status(Console(), found)


@app.command()
def indexes(corpus: CorpusName, as_json: AsJson = False) -> None:
    """Show every index version: when it was built, what its gates measured, which is live, which are kept."""
    from flows.versions import print_versions, versions_of

    loaded = load_corpus(corpus)
    found = versions_of(loaded)
    if as_json:
        _print_json({"corpus": loaded.name, "indexes": found})
    else:
        print_versions(Console(), found, loaded)


@app.command()
def publish(
    corpus: CorpusName,
    index_id: Annotated[str, typer.Argument(help="Version to publish; the one built last if left out.")] = "",
    force: Force = False,
) -> None:
    """Make a version live that was built and has passed its gates. Refused by name where it has not."""
    from flows.versions import make_live

    print(f"{make_live(load_corpus(corpus), index_id or None, force=force).index_id} is live now")


@app.command()
def rollback(
    corpus: CorpusName,
    index_id: Annotated[
        str, typer.Argument(help="Version to go back to; the one before the live one if left out.")
    ] = "",
) -> None:
    """Make an earlier index version live again. The next night does not publish the withdrawn one by itself."""
    from flows.versions import go_back

    print(f"{go_back(load_corpus(corpus), index_id or None).index_id} is live now")


@app.command()
def tables(
    corpus: CorpusName,
    table: Annotated[str, typer.Argument(help="One table, in full; all of them in short when left out.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what the tables of a corpus hold: columns, keys, expectations, and where they are."""
    from flows.declared import described_at, print_tables
    from schemas.catalog import TABLES, table_named

    loaded = load_corpus(corpus)
    chosen = [table_named(table)] if table else list(TABLES.values())
    if as_json:
        _print_json({"corpus": loaded.name, "tables": [described_at(loaded, each) for each in chosen]})
    else:
        print_tables(Console(), loaded, chosen)


@app.command()
def quarantine(
    corpus: CorpusName,
    retry: Annotated[
        bool, typer.Option("--retry", help="Feed the rows back: the next night tries them again.")
    ] = False,
    stage: Annotated[str, typer.Option(help="Only rows of this stage, such as features:keywords.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what was rejected and why, or feed it back."""
    from flows.opening import open_warehouse
    from flows.quarantine import feed_back, print_quarantine, quarantined

    loaded = load_corpus(corpus)
    warehouse = open_warehouse(loaded)
    fed_back = feed_back(warehouse, stage or None) if retry else 0
    if retry and not as_json:
        print(f"{fed_back} rows fed back: nightjar nightly {corpus} works on them again")
        return
    found = quarantined(warehouse, stage or None)
    if as_json:
        _print_json({"corpus": loaded.name, "fed_back": fed_back, **found})
    else:
        print_quarantine(Console(), found, loaded)


@app.command()
def explain(
    corpus: CorpusName,
    chunk_id: Annotated[str, typer.Argument(help="A chunk's id, as search --json shows it.")],
    as_json: AsJson = False,
) -> None:
    """Show where a passage comes from, what models wrote about it and which index versions hold it."""
    from flows.explaining import explain as explained
    from flows.explaining import print_lineage
    from flows.opening import open_warehouse

    loaded = load_corpus(corpus)
    rows = explained(open_warehouse(loaded), loaded, chunk_id)
    if as_json:
        _print_json({"corpus": loaded.name, "chunk_id": chunk_id, "lineage": rows})
    else:
        print_lineage(Console(), rows)


@app.command()
def ablate(corpus: CorpusName, as_json: AsJson = False) -> None:
    """Measure PromptPRF with every stored feature, depth and label against its baselines, by the judged queries.

    Searches the live index and calls no language model. What is measured already is not run again.
    """
    from flows.ablating import ablate as run_ablation
    from flows.ablating import print_ablation

    found = run_ablation(corpus)
    if as_json:
        _print_json(found)
    else:
        print_ablation(Console(), found)


@app.command()
def audit(corpus: CorpusName, as_json: AsJson = False) -> None:
    """Hold what language models wrote about passages against these: coverage, length, novelty, grounding, repeats."""
    from flows.auditing import print_audit
    from flows.opening import open_warehouse
    from tasks.audit import audit as audited

    loaded = load_corpus(corpus)
    rows = audited(open_warehouse(loaded))
    if as_json:
        _print_json({"corpus": loaded.name, "recipes": rows})
    else:
        print_audit(Console(), rows)


@app.command()
def maintain(
    corpus: CorpusName,
    retain_days: Annotated[int, typer.Option(min=7, help="Days for which every version stays readable.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Compact the tables and delete files that nothing needs.

    Versions that an index on disk was built from stay readable, however old they are.
    """
    loaded = load_corpus(corpus)
    with _started(loaded) as ready:
        from flows.maintain import maintain as flow

        ready()
        done = flow(corpus, retain_days)
    if as_json:
        _print_json({"corpus": loaded.name, "tables": done})
        return
    for name, facts in done.items():
        files = f"{facts['files_replaced']:,.0f} files written as {facts['files_written']:,.0f}"
        print(f"{name:<18} {files}, {facts['hours_kept'] / 24:.0f} days of history kept")


@app.command()
def export(
    corpus: CorpusName,
    file: Annotated[Path, typer.Argument(help="File to write, such as pages.warc.gz; replaced if it is there.")],
    ds: Annotated[str, typer.Option(help="Only pages of this logical date, YYYY-MM-DD.")] = "",
) -> None:
    """Write the stored pages into a WARC file, which [warc] of a corpus file reads back."""
    day = _date(ds)
    from flows.export import export_pages
    from flows.opening import open_warehouse

    print(f"{export_pages(open_warehouse(load_corpus(corpus)), file, day):,} pages are in {file}")


@app.command()
def history(
    corpus: CorpusName,
    table: Annotated[str, typer.Argument(help="Name of a table.")],
    limit: Annotated[int, typer.Option(min=1, help="Newest versions shown.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the versions of a table, newest first."""
    from flows.opening import open_warehouse
    from schemas.catalog import table_named
    from warehouse.maintenance import history as versions

    declared = table_named(table)
    rows = versions(open_warehouse(load_corpus(corpus)), declared, limit)
    if as_json:
        _print_json({"table": table, "versions": rows})
        return
    for row in rows:
        print(f"{row['version']:>6}  {row['timestamp']:%Y-%m-%d %H:%M:%S}  {row['operation']}")


@app.command()
def restore(
    corpus: CorpusName,
    table: Annotated[str, typer.Argument(help="Name of a table.")],
    version: Annotated[int, typer.Argument(min=0, help="Version to go back to, as history shows it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
) -> None:
    """Make a table what it was at a version. Nothing is lost: the restored state is a new version.

    The next night computes anew what the restored table lacks.
    """
    from schemas.catalog import table_named

    declared = table_named(table)
    loaded = load_corpus(corpus)
    if not yes and not _confirmed(f"Restore {table} of {loaded.name} to version {version}?"):
        raise NightjarError("nothing was restored", remedy="Confirm it, or add --yes")
    from flows.opening import open_warehouse
    from warehouse.maintenance import restore as restored

    print(f"{table} is at version {restored(open_warehouse(loaded), declared, version)} now")


def main() -> None:
    """Run the command line; a failure meant for the user is one line on standard error and status 1."""
    try:
        app()
    except NightjarError as error:
        print(f"nightjar: {error}", file=sys.stderr)
        sys.exit(1)


def _date(text: str, option: str = "--ds") -> date | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise NightjarError(f"not a date: {text!r}", where=option, remedy="Write it as YYYY-MM-DD") from None


def _what(
    part: Part | None,
    since: str,
    until: str,
    recipe: str,
    where: str,
    failed_only: bool,
    limit_tokens: int | None,
) -> "What":
    from tasks.planning import What

    if part is None and any((since, until, recipe, where, failed_only, limit_tokens)):
        raise NightjarError("a night does all there is to do", remedy="Add --stage to say what part of it is meant")
    return What(
        part=part,
        since=_date(since, "--since"),
        until=_date(until, "--until"),
        recipe=recipe,
        where=where,
        failed_only=failed_only,
        limit_tokens=limit_tokens,
    )


def _run(corpus: str, what: "What") -> dict[str, Any]:
    """Run the flow that does it: the night, or a backfill of a part of it."""
    if what.part is None:
        from flows.nightly import nightly as flow

        return flow(corpus)
    from flows.backfill import backfill as flow_of_a_part

    done: dict[str, Any] = flow_of_a_part(corpus, stage=what.part, **what.model_dump(exclude={"part"}))
    return done


def _confirmed(question: str) -> bool:
    """Ask on a terminal; elsewhere nobody can answer, and the answer is no."""
    return sys.stdin.isatty() and typer.confirm(question)


@contextmanager
def _started(corpus: Corpus) -> Iterator[Callable[[], None]]:
    """Spark and Prefect's API, each of which takes ten seconds to start, started beside each other.

    On a terminal the progress and the closing table speak; Prefect's own log stays for workers and servers.
    """
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    from flows.opening import open_early

    open_early(corpus)
    from flows.temporary_api import temporary_api

    with temporary_api() as ready:
        yield ready


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False, default=str))
