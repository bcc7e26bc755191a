"""On Spark's executors and in processes of this machine a job makes the same rows, and rejects the same sources."""

from datetime import date
from functools import partial
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from models.fake import FakeEncoder
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus, ExtractSettings
from schemas.documents import DOCUMENTS
from schemas.pages import PAGES
from schemas.quarantine import QUARANTINE
from schemas.table import Table
from tasks import documents, passages
from tasks.answers import answers_schema, from_answers, to_answer
from tasks.extract import COLUMNS, PAGE_KEY, SOURCE, extract_pages
from tasks.run import Run, Silent
from tests.small_site import PAGES as SITE
from warehouse.tables import Warehouse

BODIES = [*(body.encode() for body in SITE.values()), b"%PDF-1.7", b"<p> </p>", "<p>Stra\u00dfe</p>".encode("latin-1")]


def pages() -> pa.Table:
    own = [
        {"url": f"http://birds.test/{number}", "body": body, "body_hash": f"hash{number}"}
        for number, body in enumerate(BODIES)
    ]
    return PAGES.rows([{**PAGES.example, "ds": date(2026, 1, 1), **row} for row in own])


def stored(warehouse: Warehouse, table: Table) -> list[dict[str, object]]:
    rows = warehouse.arrow(table, warehouse.read(table)).drop_columns(["run_id"]).to_pylist()
    without_time = [{name: value for name, value in row.items() if name != "created_at"} for row in rows]
    return sorted(without_time, key=lambda row: str([row[name] for name in table.key]))


def ingested(spark: SparkSession, root: Path, where: str) -> dict[str, list[dict[str, object]]]:
    workers = {"where": where, "count": 1}
    settings = {"name": "birds", "crawl": {"seeds": ["http://birds.test/"]}, "workers": workers}
    corpus = Corpus.model_validate(settings | {"encoder": {"engine": "fake"}})
    run = Run(Warehouse(spark, str(root)), corpus, "r1", date(2026, 1, 1), Silent())
    run.warehouse.add(PAGES, pages())
    with run.stage("extract") as stage:
        documents.extract(stage)
    with run.stage("chunk") as stage:
        passages.chunk(stage, FakeEncoder)
    return {table.name: stored(run.warehouse, table) for table in (DOCUMENTS, CHUNKS, QUARANTINE)}


def test_spark_and_this_machine_make_the_same_rows(spark: SparkSession, tmp_path: Path) -> None:
    here, on_spark = (ingested(spark, tmp_path / where, where) for where in ("here", "spark"))
    assert {name: len(rows) for name, rows in here.items()} == {"documents": 4, "chunks": 5, "quarantine": 2}
    assert on_spark == here


def test_answers_are_the_outcome_they_were_made_of() -> None:
    every = pages()
    every = every.append_column(PAGE_KEY, every["body_hash"]).select(SOURCE.names)
    extract = partial(extract_pages, settings=ExtractSettings(), agent="nightjar")
    one_by_one = [to_answer(extract(every.slice(place, 1))) for place in range(len(every))]
    together = extract(every)
    made = from_answers(pa.Table.from_batches(one_by_one), COLUMNS)
    assert made.rows.equals(together.rows)
    assert made.rejections == together.rejections
    assert len(from_answers(answers_schema(COLUMNS).empty_table(), COLUMNS).rows) == 0
