"""From stored HTML to committed chunks, against datatrove's trafilatura pipeline writing Parquet.

    python -m bench.ingest [--data FOLDER] [--pages N] [--growth N] [--json]

Same pages, same cores. datatrove stops at text; ours goes on to passages, and commits documents and chunks to Delta.
Without FOLDER (trafilatura's own evaluation: `evaldata.json` and `html.tar.gz`) the pages are pydoc's, of this
machine's standard library. Spark is running before the clock starts, as it is when a night comes to this.
"""

import os
import pkgutil
import pydoc
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import typer

from bench.gold_pages import read_gold
from bench.report import Measured, print_measured
from models.opening import open_encoder
from schemas.corpus import Corpus
from schemas.documents import DOCUMENTS
from schemas.hashing import digest
from schemas.pages import PAGES
from tasks import documents, passages
from tasks.run import Run, Silent
from warehouse.session import open_session
from warehouse.tables import Warehouse

DS = date(2026, 1, 1)
PAGES_PER_COMMIT = 100


def bodies(folder: Path | None) -> list[bytes]:
    """HTML of distinct pages."""
    if folder:
        return [page.body for page in read_gold(folder)]
    names = sorted(name for name in sys.stdlib_module_names if pkgutil.find_loader(name))
    return [body for name in names if (body := _pydoc_page(name))]


def _pydoc_page(name: str) -> bytes | None:
    if name.startswith("_") or name in ("antigravity", "this", "idlelib"):
        return None
    try:
        module = pydoc.locate(name)
        return pydoc.html.page(name, pydoc.html.document(module, name)).encode("utf-8", "replace") if module else None
    except Exception:  # a module for another system
        return None


def pages(found: Sequence[bytes], count: int) -> pa.Table:
    """Stored pages; where the found ones do not suffice, again under other URLs and with other hashes."""
    rows = [
        {
            **{name: PAGES.example[name] for name in ("outcome", "status", "content_type", "depth", "run_id")},
            "url": f"http://bench.test/{number}",
            "ds": DS,
            "fetched_at": datetime(2026, 1, 1, tzinfo=UTC),
            "body": body,
            "body_hash": digest(str(number), body),
            "links": [],
        }
        for number, body in enumerate(islice(cycle(found), count))
    ]
    return PAGES.rows(rows)


def ours(stored: pa.Table, root: Path) -> float:
    """Seconds of the extract and the chunk stage over stored pages."""
    settings = {"name": "bench", "warehouse": str(root), "crawl": {"seeds": ["http://bench.test/"]}}
    corpus = Corpus.model_validate(settings)
    run = Run(Warehouse(open_session(), str(root)), corpus, "bench", DS, Silent())
    for start in range(0, len(stored), PAGES_PER_COMMIT):
        run.warehouse.add(PAGES, stored.slice(start, PAGES_PER_COMMIT))
    run.warehouse.version(DOCUMENTS)
    begun = time.perf_counter()
    with run.stage("extract") as stage:
        documents.extract(stage)
    with run.stage("chunk") as stage:
        passages.chunk(stage, partial(open_encoder, corpus.encoder))
    return time.perf_counter() - begun


def datatrove(stored: pa.Table, folder: Path) -> float:
    """Seconds of datatrove's pipeline over the same HTML, with as many workers as cores.

    Its input is text, decoded off the clock; each worker has a file of its own.
    """
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter

    workers = os.cpu_count() or 1
    (folder / "in").mkdir(parents=True)
    texts = [body.decode("utf-8", "replace") for body in stored["body"].to_pylist()]
    for number in range(workers):
        mine = pa.table({"text": texts[number::workers], "id": stored["url"].to_pylist()[number::workers]})
        pq.write_table(mine, folder / "in" / f"{number}.parquet")
    # Its own time limit is a second, which on slow machines loses pages: ours is given to it.
    steps = [ParquetReader(str(folder / "in")), Trafilatura(timeout=20), ParquetWriter(str(folder / "out"))]
    logs = str(folder / "logs")
    executor = LocalPipelineExecutor(steps, tasks=workers, workers=workers, logging_dir=logs)
    begun = time.perf_counter()
    executor.run()
    return time.perf_counter() - begun


def main(
    data: Annotated[Path | None, typer.Option(help="Folder of trafilatura's evaluation.")] = None,
    count: Annotated[int, typer.Option("--pages", min=1, help="Pages that both are timed on.")] = 1000,
    growth: Annotated[int, typer.Option(min=2, help="How many times the pages the growth is measured with.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Time both ways over the same pages, then ours over several times as many."""
    try:
        import datatrove as _  # noqa: F401
    except ImportError:
        sys.exit("bench.ingest needs datatrove: .venv/bin/uv pip install --python .venv/bin/python --group bench")
    found = bodies(data)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        ours(pages(found, 64), scratch / "warm")  # the JVM's first plans
        stored = pages(found, count)
        few = ours(stored, scratch / "few")
        reference = datatrove(stored, scratch / "datatrove")
        speed = f"ingest {count:,} pages, s"
        print_measured([Measured(speed, few, reference, "datatrove", 0.5)], as_json)
        stored = pages(found, count * growth)
        many = ours(stored, scratch / "many")
        speed = f"ingest {count * growth:,} pages, s"
        print_measured([Measured(speed, many, few, f"{count:,} pages", growth * 17 / 16)], as_json)
        reference = datatrove(stored, scratch / "datatrove-many")
        print_measured([Measured(speed, many, reference, "datatrove", 0.5)], as_json)


if __name__ == "__main__":
    typer.run(main)
