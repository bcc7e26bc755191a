"""The extract stage: the newest body of every page becomes a document."""

from collections.abc import Sequence
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.corpus import Corpus
from schemas.documents import DOCUMENTS
from schemas.pages import PAGES
from schemas.quarantine import QUARANTINE, Reason
from tasks.crawling.directives import agent_token
from tasks.extract import COLUMNS, PAGE_KEY, SOURCE, extractor_id
from tasks.job import Job, run_job
from tasks.outcome import Outcome
from tasks.retire import retire
from tasks.run import Stage
from tasks.spreading import spread

PAGES_PER_COMMIT = 2048
MOST_BROADCAST = 1_000_000


def extract(stage: Stage) -> None:
    """Extract pages whose newest body, header or extractor is new; retire documents whose page is gone or noindex."""
    job = extraction(stage)
    run_job(stage, job)
    latest = known_pages(stage)
    gone = latest.where(F.col("outcome").isin("gone", "redirected")).select("url")
    hidden = present(latest).join(_noindex(stage, job.producer_id), PAGE_KEY.name, "left_semi").select("url")
    retire(stage, DOCUMENTS, stage.read(DOCUMENTS).join(gone.unionAll(hidden), "url", "left_semi"))


def extraction(stage: Stage) -> Job:
    """Pages in, documents out."""
    corpus = stage.run.corpus
    settings, agent = corpus.extract, agent_token(corpus.user_agent)
    producer = extractor_of(corpus)
    documents = with_page_key(stage.read(DOCUMENTS).where("live"))

    def commit(outcome: Outcome) -> int:
        merged = stage.merge(DOCUMENTS, outcome.rows)
        return merged.inserted + merged.updated

    arguments = {"settings": settings.model_dump(mode="json"), "agent": agent}
    selection, pages, found = stage.run.selection, stage.read(PAGES), present(known_pages(stage))
    return Job(
        producer_id=producer,
        source_key=PAGE_KEY.name,
        sources=selection.of(_as_stored(found, pages) if selection.dated else found),
        results=documents,
        done=documents.where(F.col("extractor_id") == producer),
        key=("url", PAGE_KEY.name),
        labour=spread(corpus.workers, "tasks.extract:page_work", arguments, PAGE_KEY.name, SOURCE, COLUMNS),
        commit=commit,
        commit_rows=PAGES_PER_COMMIT,
        unit="pages",
        arrange=partial(with_bodies, pages=pages, oldest_first=selection.dated),
    )


def extractor_of(corpus: Corpus) -> str:
    """Fingerprint of the extractor that a corpus asks for."""
    return extractor_id(corpus.extract, agent_token(corpus.user_agent))


def known_pages(stage: Stage) -> DataFrame:
    """The newest believed answer of every URL, with its `page_key`."""
    crawl = stage.run.corpus.crawl
    return with_page_key(latest_pages(stage.read(PAGES), crawl.gone_after if crawl else 1))


def present(latest: DataFrame) -> DataFrame:
    """Pages that are there."""
    return latest.where(F.col("outcome").isin("ok", "not_modified"))


def latest_pages(pages: DataFrame, gone_after: int, columns: Sequence[str] = ("body_hash", "robots_tag")) -> DataFrame:
    """Per URL the newest answer that is believed: url, outcome, ds and the columns, which are null of a page gone.

    A failure or a refusal says nothing: what was known before stays true. So does an answer that the page is gone,
    until the newest `gone_after` answers, each of another logical date, all say so. A file that is gone is certain.
    """
    telling = pages.where(~F.col("outcome").isin("failed", "refused"))
    doubtful = (F.col("outcome") == "gone") & F.col("source").isNull()
    answer = F.struct("outcome", "ds", *columns)
    nights = F.sort_array(F.collect_list(F.when(doubtful, F.col("ds"))), asc=False)
    found = telling.groupBy("url").agg(
        F.max_by(F.when(~doubtful, answer), F.when(~doubtful, F.col("ds"))).alias("page"),
        F.get(nights, F.lit(gone_after - 1)).alias("earliest"),
        F.max("ds").alias("newest"),
    )
    is_gone = F.col("page").isNull() | F.coalesce(F.col("earliest") > F.col("page.ds"), F.lit(False))
    return found.select(
        "url",
        F.when(is_gone, "gone").otherwise(F.col("page.outcome")).alias("outcome"),
        F.when(is_gone, F.col("newest")).otherwise(F.col("page.ds")).alias("ds"),
        *(F.when(~is_gone, F.col(f"page.{name}")).alias(name) for name in columns),
    )


def with_page_key(frame: DataFrame) -> DataFrame:
    """With what a page's document depends on: the hash of its body, and its X-Robots-Tag headers if there are any."""
    return frame.withColumn(PAGE_KEY.name, F.concat_ws(" ", "body_hash", "robots_tag"))


def with_bodies(pending: DataFrame, left: int, pages: DataFrame, oldest_first: bool = False) -> DataFrame:
    """Pending pages with a stored body of theirs and its logical date.

    Args:
        left: how many are pending: where they are few enough they go to where the bodies are, which then do not move.
        oldest_first: in the order of their logical dates, which moves the bodies.
    """
    wanted = _as_stored(pending, pages)
    bodies = pages.where("outcome = 'ok'").select("url", "ds", "body", "content_type")
    found = bodies.join(F.broadcast(wanted) if left <= MOST_BROADCAST else wanted, ["url", "ds"])
    return found.orderBy("ds", "url") if oldest_first else found


def _as_stored(found: DataFrame, pages: DataFrame) -> DataFrame:
    """Pages with the logical date on which the body they still have was stored: a 304 repeats an earlier one's hash."""
    stored = pages.where("outcome = 'ok'").join(found, ["url", "body_hash"], "left_semi")
    newest = stored.groupBy("url", "body_hash").agg(F.max("ds").alias("ds"))
    return found.drop("ds").join(newest, ["url", "body_hash"])


def _noindex(stage: Stage, producer: str) -> DataFrame:
    """Keys of the pages that this extractor refused because they say noindex."""
    refused = stage.read(QUARANTINE).where(F.col("open") & (F.col("reason") == Reason.NOINDEX.value))
    mine = (F.col("recipe_id") == producer) & (F.col("stage") == stage.ledger.stage)
    return refused.where(mine).select(F.col("source_key").alias(PAGE_KEY.name))
