"""Answering a query from the published index, and showing the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from rich.console import Console
from rich.text import Text

from flows import opening
from flows.progress import progress_for_terminal
from models.opening import token_counter
from schemas.corpus import Corpus
from serving.search import open_index

LONGEST_SNIPPET = 200


def answer(
    corpus: Corpus, query: str, *, k: int = 10, mode: str = "hybrid", prf: str | None = None
) -> list[dict[str, Any]]:
    """The k best passages of the live index, as `nightjar search --json` prints them.

    Raises:
        UnknownName: no such mode, or no such feature in the index.
        BundleError: nothing is published, or the live bundle is damaged.
    """
    progress = progress_for_terminal()
    open_encoder = partial(opening.encoder, corpus.encoder, progress)
    open_sparse_encoder = opening.sparse_encoder_of(corpus, progress)
    count_tokens = token_counter(corpus.encoder)
    index = open_index(corpus.indexes, open_encoder, count_tokens, open_sparse_encoder=open_sparse_encoder)
    return [asdict(hit) for hit in index.search(query, k, mode, prf)]


def print_answer(console: Console, query: str, hits: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Rank, score, title, URL and the beginning of each passage. Crawled text is shown as text, never as markup."""
    console.print(Text(f"{query}{f'  ({title})' if title else ''}", style="bold"))
    if not hits:
        console.print("  no passage matches")
    for hit in hits:
        console.print(Text(f"  {hit['rank']:>2}  {hit['score']:.4f}  {' > '.join(hit['heading_path'])}"))
        console.print(Text(f"              {hit['url']}", style="blue"))
        snippet = " ".join(hit["text"].split())[:LONGEST_SNIPPET]
        console.print(Text(f"              {snippet}", style="dim"))
