"""The extract stage: the newest body of every page becomes a document."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.documents import DOCUMENTS
from schemas.pages import PAGES
from tasks.extract import COLUMNS, SOURCE, extractor_id
from tasks.job import Job, run_job
from tasks.outcome import Outcome
from tasks.retire import retire
from tasks.run import Stage
from tasks.spreading import labour


def extract(stage: Stage) -> None:
    """Extract pages whose newest body, or extractor, is new, and retire documents whose page is gone."""
    settings = stage.run.corpus.extract
    producer = extractor_id(settings)
    latest = latest_pages(stage.read(PAGES))
    bodies = stage.read(PAGES).where("outcome = 'ok'").select("url", "body_hash", "body", "content_type")
    done = stage.read(DOCUMENTS).where(F.col("live") & (F.col("extractor_id") == producer))

    def commit(outcome: Outcome) -> int:
        merged = stage.merge(DOCUMENTS, outcome.rows)
        return merged.inserted + merged.updated

    present = latest.where(F.col("outcome").isin("ok", "not_modified"))
    arguments = {"settings": settings.model_dump(mode="json")}
    with labour(stage.run.corpus.workers, "tasks.extract:page_work", arguments, "body_hash", COLUMNS) as at:
        job = Job(producer, SOURCE, "body_hash", at.work, commit, 512, "pages", ahead=True, on_spark=at.on_spark)
        run_job(stage, job, present, done, ["url", "body_hash"], lambda pending: with_bodies(pending, bodies))
    gone = latest.where(F.col("outcome").isin("gone", "redirected")).select("url")
    retire(stage, DOCUMENTS, stage.read(DOCUMENTS).join(gone, "url", "left_semi"))


def latest_pages(pages: DataFrame) -> DataFrame:
    """Per URL the newest answer that says something about the page: url, outcome, body_hash, ds.

    A failure or a refusal says nothing: what was known before stays true.
    """
    telling = pages.where(~F.col("outcome").isin("failed", "refused"))
    newest = telling.groupBy("url").agg(F.max_by(F.struct("outcome", "body_hash", "ds"), "ds").alias("page"))
    return newest.select("url", "page.*")


def with_bodies(pending: DataFrame, bodies: DataFrame) -> DataFrame:
    """Pending pages with a stored body of theirs; a 304 repeats the hash of an earlier night's."""
    return pending.join(bodies, ["url", "body_hash"]).dropDuplicates(["url", "body_hash"])
