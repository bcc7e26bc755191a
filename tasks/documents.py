"""The extract stage: the newest body of every page becomes a document."""

from collections.abc import Sequence
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

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
    corpus = stage.run.corpus
    settings, agent = corpus.extract, agent_token(corpus.user_agent)
    producer = extractor_id(settings, agent)
    latest = with_page_key(latest_pages(stage.read(PAGES), corpus.crawl.gone_after if corpus.crawl else 1))
    done = stage.read(DOCUMENTS).where(F.col("live") & (F.col("extractor_id") == producer))

    def commit(outcome: Outcome) -> int:
        merged = stage.merge(DOCUMENTS, outcome.rows)
        return merged.inserted + merged.updated

    arguments = {"settings": settings.model_dump(mode="json"), "agent": agent}
    labour = spread(corpus.workers, "tasks.extract:page_work", arguments, PAGE_KEY.name, SOURCE, COLUMNS)
    job = Job(producer, PAGE_KEY.name, labour, commit, PAGES_PER_COMMIT, "pages")
    present = latest.where(F.col("outcome").isin("ok", "not_modified"))
    key = ["url", PAGE_KEY.name]
    run_job(stage, job, present, with_page_key(done), key, partial(with_bodies, pages=stage.read(PAGES)))
    gone = latest.where(F.col("outcome").isin("gone", "redirected")).select("url")
    hidden = present.join(_noindex(stage, producer), PAGE_KEY.name, "left_semi").select("url")
    retire(stage, DOCUMENTS, stage.read(DOCUMENTS).join(gone.unionAll(hidden), "url", "left_semi"))


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


def with_bodies(pending: DataFrame, left: int, pages: DataFrame) -> DataFrame:
    """Pending pages with a stored body of theirs; a 304 repeats the hash of an earlier night's.

    Args:
        left: how many are pending: where they are few enough they go to where the bodies are, which then do not move.
    """
    stored = pages.where("outcome = 'ok'")
    at_page = ["url", "body_hash"]
    newest = stored.join(pending, at_page, "left_semi").groupBy(*at_page).agg(F.max("ds").alias("fetched"))
    wanted = pending.join(newest, at_page)
    bodies = stored.select("url", F.col("ds").alias("fetched"), "body", "content_type")
    return bodies.join(F.broadcast(wanted) if left <= MOST_BROADCAST else wanted, ["url", "fetched"])


def _noindex(stage: Stage, producer: str) -> DataFrame:
    """Keys of the pages that this extractor refused because they say noindex."""
    refused = stage.read(QUARANTINE).where(F.col("open") & (F.col("reason") == Reason.NOINDEX.value))
    mine = (F.col("recipe_id") == producer) & (F.col("stage") == stage.ledger.stage)
    return refused.where(mine).select(F.col("source_key").alias(PAGE_KEY.name))
