"""The crawl stage: rounds of a frontier that is read off `pages`, committed as the answers come."""

from collections.abc import Iterator
from contextlib import nullcontext

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.corpus import CrawlSettings
from schemas.hashing import digest
from schemas.pages import PAGES
from tasks.crawling.fetch import fetch
from tasks.crawling.frontier import SEEN, check_reached, confirm, next_round
from tasks.crawling.site import serve_site
from tasks.documents import latest_pages
from tasks.run import Stage

STORED = ("url", "body_hash", "etag", "last_modified", "robots_tag", "links", "depth")


def crawl(stage: Stage, settings: CrawlSettings) -> None:
    """Fetch what is missing of tonight's pages. A crawl that is complete starts no server and no child.

    Raises:
        CrawlError: no seed could be fetched, or the crawler's child died; committed pages stay.
        SetupError: the corpus's own site does not start.
    """
    site_settings = stage.run.corpus.site
    seen = _seen_tonight(stage)
    stored = _live_pages(stage, settings)
    requests = next_round(seen, settings, stored)
    stage.ledger.skipped = stage.ledger.rows_in = len(seen)
    if not requests:
        return
    stage.run.progress.begin(stage.ledger.stage, settings.max_pages - len(seen), "pages")
    try:
        with serve_site(site_settings) if site_settings else nullcontext() as site:
            while requests:
                for rows in _rounds_rows(fetch(requests, settings, site), first=not len(seen)):
                    commit_pages(stage, confirm(rows, stored))
                    stage.run.progress.advance(len(rows))
                    seen = pa.concat_tables([seen, rows.select(SEEN)])
                requests = next_round(seen, settings, stored)
    finally:
        stage.run.progress.end()


def _rounds_rows(fetched: Iterator[pa.RecordBatch], first: bool) -> Iterator[pa.Table]:
    """Rows of one round as they come; of a first round all together, once it is known that a seed answered."""
    batches = (pa.Table.from_batches([batch]) for batch in fetched)
    if not first:
        yield from batches
        return
    rows = pa.concat_tables(batches)
    check_reached(rows)
    yield rows


def commit_pages(stage: Stage, rows: pa.Table) -> None:
    """Commit rows of `pages` and account for them."""
    merged = stage.merge(PAGES, rows)
    stage.ledger.rows_in += len(rows)
    stage.ledger.rows_out += merged.inserted + merged.updated


def _seen_tonight(stage: Stage) -> pa.Table:
    """Tonight's pages; failed ones are left out, so that they are tried again."""
    tonight = _fetched(stage).where((F.col("ds") == F.lit(stage.run.ds)) & (F.col("outcome") != "failed"))
    return stage.run.warehouse.arrow(PAGES, tonight.select(*SEEN))


def _live_pages(stage: Stage, settings: CrawlSettings) -> pa.Table:
    """The pages that were there before tonight: what a 304 confirms, and what is asked for though nothing links to it.

    Their order is another one every night, so that caps leave out other pages each time.
    """
    before = _fetched(stage).where(F.col("ds") < F.lit(stage.run.ds))
    latest = latest_pages(before, settings.gone_after, STORED[1:]).where(F.col("body_hash").isNotNull())
    pages = stage.run.warehouse.arrow(PAGES, latest.select(*STORED))
    order = [digest(f"{stage.run.ds} {url}") for url in pages["url"].to_pylist()]
    return pages.take(pc.sort_indices(pa.array(order, pa.string())))


def _fetched(stage: Stage) -> DataFrame:
    """Pages that were fetched: those read from files have no links to follow and no validator to send."""
    return stage.read(PAGES).where(F.col("source").isNull())
