"""A refresh after a small change beside a full build, on the same tables.

    python -m bench.refresh [--chunks N] [--changed PERCENT] [--queries N] [--rounds N] [--json]

A corpus of drawn passages is built and made live. Then a share of its passages is replaced, and the same tables are
refreshed both ways, each from reading the tables to a bundle in its place: from the live version and the feed of
changes, and as a whole. Both are asked the same questions: the top ten must be the same.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer
from numpy.typing import NDArray

from bench.index import DIMENSION, TOPICS, VOCABULARY, around, megabytes, sentences
from bench.report import Measured, print_measured
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus, FolderSettings, IndexSettings
from schemas.embeddings import EMBEDDINGS
from schemas.hashing import digest, text_hash
from tasks.refreshing import build
from tasks.run import Run, Silent
from warehouse.bundle import Bundle, open_version, segment_folder
from warehouse.pointer import live_pointer, swap_pointer
from warehouse.segments import Found
from warehouse.session import open_session
from warehouse.tables import Warehouse

ENCODER_ID = "bench"
WORDS_A_TEXT, WORDS_A_QUERY = 80, 5
K = 10
GOAL = 0.1
# Sums of a few hundred products in another order differ by less.
ROUNDING = 1e-5
# Below it all is written anew.
MOST_TEXTS = 10**9


class Drawing:
    """Passages and vectors, drawn with one seed."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(20261123)
        self.topics = self.random.standard_normal((TOPICS, DIMENSION), dtype=np.float32)
        self.words = np.array([f"w{number:x}" for number in range(VOCABULARY)])

    def passages(self, count: int) -> tuple[pa.Table, pa.Table]:
        """Rows of `chunks` and of `embeddings`, each passage of a page of its own."""
        texts = sentences(self.random, self.words, count, WORDS_A_TEXT)
        hashes = [text_hash(["Bench"], text) for text in texts]
        constant = {
            name: pa.array([value] * count, CHUNKS.schema.field(name).type) for name, value in CHUNKS.example.items()
        }
        own = {
            "chunk_id": pa.array([digest("chunk", each) for each in hashes]),
            "doc_id": pa.array([digest("page", each) for each in hashes]),
            "url": pa.array([f"http://bench.test/{each}" for each in hashes]),
            "heading_path": pa.array([["Bench"]] * count, pa.list_(pa.string())),
            "text": pa.array(texts),
            "text_hash": pa.array(hashes),
        }
        return CHUNKS.check(pa.table({**constant, **own})), self._vectors(hashes)

    def _vectors(self, hashes: Sequence[str]) -> pa.Table:
        vectors = around(self.random, self.topics, len(hashes))
        ends = pa.array(range(0, vectors.size + 1, DIMENSION), pa.int32())
        columns = {
            "text_hash": pa.array(hashes),
            "encoder_id": pa.array([ENCODER_ID] * len(hashes)),
            "vector": pa.ListArray.from_arrays(ends, pa.array(vectors.ravel())),
            "run_id": pa.array(["bench"] * len(hashes)),
        }
        return EMBEDDINGS.check(pa.table(columns))

    def queries(self, count: int) -> tuple[list[str], NDArray[np.float32]]:
        """Questions and vectors that are asked."""
        return sentences(self.random, self.words, count, WORDS_A_QUERY), around(self.random, self.topics, count)


def refresh(warehouse: Warehouse, corpus: Corpus) -> tuple[Bundle, float]:
    """Build what the tables say now. Returns the bundle, and seconds."""
    run = Run(warehouse, corpus, "bench", date(2026, 11, 23), Silent())
    begun = time.perf_counter()
    with run.stage("index") as stage:
        index_id = build(stage, ENCODER_ID, [])
    seconds = time.perf_counter() - begun
    if index_id is None:
        raise RuntimeError("nothing was built, although the tables changed")
    return open_version(corpus.warehouse, index_id, verify=False), seconds


def change(warehouse: Warehouse, drawing: Drawing, stored: pa.Table, count: int) -> pa.Table:
    """Put new passages in the place of some. Returns those that are stored now."""
    order = drawing.random.permutation(len(stored))
    gone = stored.take(order[:count])
    dead = gone.set_column(gone.column_names.index("live"), "live", pa.array([False] * count))
    chunks, vectors = drawing.passages(count)
    warehouse.append(EMBEDDINGS, vectors)
    warehouse.merge(CHUNKS, pa.concat_tables([CHUNKS.check(dead), chunks]))
    return pa.concat_tables([stored.take(order[count:]), chunks])


@dataclass(frozen=True)
class Round:
    """A change, refreshed both ways.

    Attributes:
        ours, whole: seconds.
        written, size: megabytes that were written; shared files are not.
        differing: queries that were answered otherwise.
    """

    ours: float
    whole: float
    written: float
    size: float
    differing: int


def both_ways(warehouse: Warehouse, root: Path, ask: Callable[[Bundle, Bundle], int], segments: int) -> Round:
    """Refresh from the live version and as a whole, and make the former live."""
    live = live_pointer(root)
    mine, ours = refresh(warehouse, corpus_at(root, {"extend_from": 1, "most_segments": segments, "most_dead": 0.9}))
    # Both ways give one index_id: the whole one would be found in its place.
    aside = mine.folder.rename(root / "aside")
    other, whole = refresh(warehouse, corpus_at(root, {"extend_from": MOST_TEXTS}))
    asked = Bundle(aside, mine.manifest)
    written = megabytes(aside / segment_folder(len(mine.manifest.segments) - 1))
    found = Round(ours, whole, written, megabytes(other.folder), ask(asked, other))
    shutil.rmtree(other.folder)
    aside.rename(other.folder)
    swap_pointer(root, mine.manifest.index_id, expected=live.index_id)
    return found


def differing(one: Bundle, other: Bundle, texts: Sequence[str], vectors: NDArray[np.float32]) -> int:
    """Queries whose ten best texts differ, by BM25 or by inner product."""
    lexical = zip(one.lexical.search_many(texts, K), other.lexical.search_many(texts, K), strict=True)
    words = [answers(one, mine) != answers(other, theirs) for mine, theirs in lexical]
    dense = zip(one.dense.search(vectors, K + 1).each(), other.dense.search(vectors, K + 1).each(), strict=True)
    return sum(words) + sum(not alike(answers(one, mine), answers(other, theirs)) for mine, theirs in dense)


def answers(bundle: Bundle, found: Found) -> list[tuple[str, float]]:
    """Text hashes and scores, best first."""
    hashes = bundle.stored.text_hashes.take(pa.array(found.numbers[0])).to_pylist()
    return list(zip(hashes, found.scores[0].tolist(), strict=True))


def alike(one: list[tuple[str, float]], other: list[tuple[str, float]]) -> bool:
    """The same texts among the ten best, but for those that score as the eleventh does."""
    least = one[-1][1] + ROUNDING if len(one) > K else -np.inf
    sure = [{name for name, score in found[:K] if score > least} for found in (one, other)]
    scores = [np.array([score for _, score in found]) for found in (one, other)]
    return sure[0] == sure[1] and bool(np.allclose(scores[0], scores[1], atol=ROUNDING))


def main(
    chunks: Annotated[int, typer.Option(min=100, help="Passages of the corpus.")] = 100_000,
    changed: Annotated[float, typer.Option(min=0.1, max=10, help="Percent of them replaced.")] = 1.0,
    queries: Annotated[int, typer.Option(min=1, help="Questions asked of both.")] = 1_000,
    rounds: Annotated[int, typer.Option(min=1, help="Changes, each refreshed both ways.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Refresh both ways and print seconds, sizes and how many queries are answered otherwise."""
    drawing = Drawing()
    texts, vectors = drawing.queries(queries)
    replaced = max(1, round(chunks * changed / 100))

    def ask(one: Bundle, other: Bundle) -> int:
        return differing(one, other, texts, vectors)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        warehouse = Warehouse(open_session(), str(root))
        stored, embedded = drawing.passages(chunks)
        warehouse.add(CHUNKS, stored)
        warehouse.add(EMBEDDINGS, embedded)
        live, _ = refresh(warehouse, corpus_at(root, {}))
        swap_pointer(root, live.manifest.index_id, expected=None)
        done = []
        for _ in range(rounds):
            stored = change(warehouse, drawing, stored, replaced)
            done.append(both_ways(warehouse, root, ask, rounds + 1))
    print_measured(report(done, f"{replaced:,} of {chunks:,} chunks"), as_json)


def report(rounds: Sequence[Round], what: str) -> list[Measured]:
    """The best seconds of each way, what the last round wrote, and all queries that were answered otherwise."""
    ours, whole = min(each.ours for each in rounds), min(each.whole for each in rounds)
    last, differ = rounds[-1], sum(each.differing for each in rounds)
    return [
        Measured(f"refresh after {what}, s", ours, whole, "full build", GOAL),
        Measured(f"written after {what}, MB", last.written, last.size, "full build", GOAL),
        # One is added to both: a ratio of none to none says nothing.
        Measured("queries answered otherwise, plus one", differ + 1, 1, "full build", 1),
    ]


def corpus_at(root: Path, index: dict[str, Any]) -> Corpus:
    """A corpus whose warehouse lies in a folder."""
    pages = FolderSettings(path="unused", url_prefix="http://bench.test/")
    return Corpus(name="bench", warehouse=str(root), folder=pages, index=IndexSettings(**index))


if __name__ == "__main__":
    typer.run(main)
