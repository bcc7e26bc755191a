"""The command line: `nightjar`."""

import json
import os
import sys
from datetime import date, datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from schemas.corpus import load_corpus
from schemas.errors import NightjarError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Nightjar refines web pages into a checked, versioned retrieval index, night after night.",
)

CorpusName = Annotated[str, typer.Argument(help="A corpus file, or the name of one under corpora/, such as pydoc.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


@app.command()
def demo() -> None:
    """Build an index of this machine's own Python documentation and ask it three questions.

    Needs no network and no account. Run it again and it finds nothing left to do.
    """
    _quiet_prefect()
    from flows.opening import open_early

    open_early(load_corpus("pydoc"))
    from flows.demo import run_demo

    run_demo(Console())


@app.command()
def nightly(
    corpus: CorpusName,
    ds: Annotated[str, typer.Option(help="Logical date, YYYY-MM-DD; today (UTC) when left out.")] = "",
) -> None:
    """Bring a corpus up to date: crawl, chunk, describe, embed, check and publish what is new.

    What an earlier run finished is not done again, so a run that was stopped is mended by running it again.
    """
    day = _date(ds)
    loaded = load_corpus(corpus)
    _quiet_prefect()
    from flows.opening import open_early

    open_early(loaded)
    from flows.nightly import nightly as flow
    from flows.report import print_closing_table

    print_closing_table(Console(), flow(corpus, day))


@app.command()
def search(
    corpus: CorpusName,
    query: Annotated[str, typer.Argument(help="What to look for, in quotes.")],
    k: Annotated[int, typer.Option(min=1, max=1000, help="How many results.")] = 10,
    mode: Annotated[str, typer.Option(help="dense, lexical or hybrid.")] = "hybrid",
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
def status(corpus: CorpusName, as_json: AsJson = False) -> None:
    """Show a corpus's tables, live index and last run."""
    from flows.status import print_status, status_of

    found = status_of(load_corpus(corpus))
    if as_json:
        _print_json(found)
    else:
        print_status(Console(), found)


def main() -> None:
    """Run the command line; a failure meant for the user is one line on standard error and status 1."""
    try:
        app()
    except NightjarError as error:
        print(f"nightjar: {error}", file=sys.stderr)
        sys.exit(1)


def _date(text: str) -> date | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise NightjarError(f"not a date: {text!r}", where="--ds", remedy="Write it as YYYY-MM-DD") from None


def _quiet_prefect() -> None:
    """On a terminal the progress and the closing table speak; Prefect's own log stays for workers and servers."""
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False, default=str))
