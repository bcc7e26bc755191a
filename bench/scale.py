"""Does a plan over a large warehouse that has nothing to do answer soon, and does it grow no faster than the warehouse?

    python -m bench.scale [--chunks N] [--fewer N] [--new N] [--json]

Two warehouses are filled with synthetic pages, documents, chunks, features and vectors, made by Spark and by no model.
`nightjar plan` is run over each, as a user runs it, start of Python and Spark included. Then some chunks are added, and
a backfill has the fake models describe and embed them, and only them.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pyspark.sql import Column
from pyspark.sql import functions as F

from bench.report import Measured, print_measured
from flows.opening import open_run
from flows.planning import jobs
from schemas.chunks import CHUNKS
from schemas.corpus import load_corpus
from schemas.documents import DOCUMENTS
from schemas.embeddings import EMBEDDINGS
from schemas.features import FEATURES
from schemas.pages import PAGES
from schemas.table import Table
from tasks.parts import Part
from warehouse.session import open_session
from warehouse.statements import spark_schema
from warehouse.tables import Warehouse

SECONDS_ALLOWED = 20.0
CHUNKS_PER_DOCUMENT = 18  # as the demo's corpus has
CORPUS = """
name = "scale"
warehouse = "{root}"

[crawl]
seeds = ["http://scale.test/"]

[deduplicate]
enabled = false

[language_model]
engine = "fake"

[encoder]
engine = "fake"

[[recipes]]
name = "keywords"
"""
DOCUMENT = f"(id div {CHUNKS_PER_DOCUMENT})"
URL = "concat('http://scale.test/', {document})"
TEXT = "concat('Passage ', id, ' tells of a bird that sings at night and of what it eats by day.')"


@dataclass(frozen=True)
class Times:
    """Seconds of a plan with nothing to do, and of a backfill of a few new chunks."""

    plan: float
    backfill: float


def fill(warehouse: Warehouse, table: Table, first: int, count: int, said: Mapping[str, str]) -> None:
    """Append rows whose columns are SQL over `id`, or else the values of the table's example.

    Args:
        first: id of the first row.
    """
    path = warehouse.ensure(table)
    columns = [
        (F.expr(said[field.name]) if field.name in said else _same(table.example.get(field.name)))
        .cast(field.dataType)
        .alias(field.name)
        for field in spark_schema(table).fields
    ]
    rows = warehouse.spark.range(first, first + count).select(*columns)
    rows.write.format("delta").mode("append").save(path)


def _same(value: object) -> Column:
    if isinstance(value, list):
        return F.array(*map(F.lit, value))
    return F.lit(bytearray(value) if isinstance(value, bytes) else value)


def fill_warehouse(corpus: str, chunks: int) -> None:
    """A warehouse as nights would have left it, with so many chunks, nothing pending."""
    warehouse = Warehouse(open_session(), load_corpus(corpus).warehouse)
    producers = producers_of(corpus)
    body = "md5(cast({document} AS string))"
    pages = {"url": URL.format(document="id"), "body_hash": body.format(document="id"), "robots_tag": "null"}
    documents = -(-chunks // CHUNKS_PER_DOCUMENT)
    fill(warehouse, PAGES, 0, documents, pages | {"depth": "1"})
    extracted = {"doc_id": f"md5({pages['url']})", "extractor_id": f"'{producers[Part.EXTRACT]}'"}
    fill(warehouse, DOCUMENTS, 0, documents, pages | extracted | {"directives": "null", "withheld": "false"})
    add_chunks(warehouse, producers, 0, chunks)
    text_hash = {"text_hash": "md5(concat('text', id))"}
    described = {"recipe_id": f"'{producers[Part.FEATURES]}'", "feature": "'keywords'"}
    fill(warehouse, FEATURES, 0, chunks, text_hash | described)
    vector = {"vector": "array_repeat(0.125, 64)", "encoder_id": f"'{producers[Part.EMBED]}'"}
    fill(warehouse, EMBEDDINGS, 0, chunks, text_hash | vector)


def add_chunks(warehouse: Warehouse, producers: Mapping[Part, str], first: int, count: int) -> None:
    """Chunks of documents that are there, each with a text of its own."""
    document = "0" if first else DOCUMENT
    url = URL.format(document=document)
    said = {
        "chunk_id": "md5(concat('chunk', id))",
        "doc_id": f"md5({url})",
        "url": url,
        "text": TEXT,
        "text_hash": "md5(concat('text', id))",
        "chunker_id": f"'{producers[Part.CHUNK]}'",
        "extractor_id": f"'{producers[Part.EXTRACT]}'",
        "body_hash": f"md5(cast({document} AS string))",
        "directives": "null",
    }
    fill(warehouse, CHUNKS, first, count, said)


def producers_of(corpus: str) -> dict[Part, str]:
    """What would do the work of each part."""
    with open_run(corpus, None) as run:
        return {each.part: each.producer_id for each in jobs(run)}


def nightjar(*arguments: str) -> tuple[float, str]:
    """Seconds of a command and what it printed."""
    begun = time.perf_counter()
    command = [sys.executable, "-c", "from flows.cli import main; main()", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"nightjar {' '.join(arguments)} failed: {done.stderr.strip().splitlines()[-1]}")
    return time.perf_counter() - begun, done.stdout


def planned(corpus: str) -> tuple[float, int]:
    """Seconds of a plan, and the sources that it says are pending."""
    seconds, said = nightjar("plan", corpus, "--json")
    return seconds, sum(sum(stage["pending"].values()) for stage in json.loads(said.splitlines()[-1])["stages"])


def measured(chunks: int, new: int, folder: Path) -> Times:
    """Fill a warehouse, plan over it, and have new chunks described and embedded."""
    folder.mkdir()
    corpus = str(folder / "scale.toml")
    Path(corpus).write_text(CORPUS.format(root=folder / "root"))
    fill_warehouse(corpus, chunks)
    plan, pending = planned(corpus)
    if pending:
        raise SystemExit(f"of {chunks:,} chunks that are done the plan says that {pending:,} sources are pending")
    add_chunks(Warehouse(open_session(), str(folder / "root")), producers_of(corpus), chunks, new)
    _, pending = planned(corpus)
    if pending != 2 * new:
        raise SystemExit(f"{new:,} new chunks are to be described and embedded, and the plan says {pending:,}")
    backfill = sum(nightjar("backfill", corpus, "--stage", stage)[0] for stage in ("features", "embed"))
    if planned(corpus)[1]:
        raise SystemExit("the backfill has left something pending")
    return Times(plan, backfill)


def main(
    chunks: Annotated[int, typer.Option(min=1, help="Chunks of the large warehouse.")] = 1_000_000,
    fewer: Annotated[int, typer.Option(min=1, help="Chunks of the small one.")] = 100_000,
    new: Annotated[int, typer.Option(min=1, help="Chunks that are added.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Plan over both warehouses and print what that took."""
    with tempfile.TemporaryDirectory() as scratch:
        small, large = (measured(count, new, Path(scratch) / str(count)) for count in (fewer, chunks))
    seconds = f"plan of nothing, {chunks:,} chunks, s"
    print_measured(
        [
            Measured(seconds, large.plan, SECONDS_ALLOWED, "allowed", 1),
            Measured(seconds, large.plan, small.plan * chunks / fewer, "if linear", 1),
            Measured(f"backfill of {new:,} beside {chunks:,}, s", large.backfill, small.backfill, f"beside {fewer:,}"),
        ],
        as_json,
    )


if __name__ == "__main__":
    typer.run(main)
