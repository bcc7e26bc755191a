"""Which part of the pending work a run does: all of it in a night, a named part in a backfill."""

from dataclasses import dataclass
from datetime import date

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.errors import NightjarError


@dataclass(frozen=True)
class Selection:
    """A part of the pending work; without a word, all of it.

    Attributes:
        since: first logical date of the pages that sources come from.
        until: last one.
        where: SQL condition on the columns of the sources.
        failed_only: only sources that this very producer failed on and has not come through with since.
        most_tokens: models read and write about this many tokens, and no batch is begun above it.
    """

    since: date | None = None
    until: date | None = None
    where: str = ""
    failed_only: bool = False
    most_tokens: int | None = None

    @property
    def dated(self) -> bool:
        """Whether logical dates count."""
        return bool(self.since or self.until)

    @property
    def narrows(self) -> bool:
        """Whether some sources are left out: then nothing can be concluded from one that is not there."""
        return self.dated or bool(self.where) or self.failed_only

    def of(self, sources: DataFrame) -> DataFrame:
        """The sources that are meant.

        Args:
            sources: with a `ds` where logical dates count.

        Raises:
            NightjarError: the condition is not SQL, or not about these columns.
        """
        chosen = self.between(sources)
        return _where(chosen, self.where) if self.where else chosen

    def between(self, rows: DataFrame) -> DataFrame:
        """The rows whose `ds` is in the range."""
        if self.since:
            rows = rows.where(F.col("ds") >= F.lit(self.since))
        return rows.where(F.col("ds") <= F.lit(self.until)) if self.until else rows


EVERYTHING = Selection()


def _where(sources: DataFrame, condition: str) -> DataFrame:
    try:
        chosen = sources.where(f"({condition})")
        _ = chosen.columns  # a remote session looks at the condition only when it must
    except (AnalysisException, ParseException) as error:
        first = str(error).strip().splitlines()[0]
        columns = ", ".join(sources.columns)
        raise NightjarError(
            f"not a condition on the sources: {first}", where="--where", remedy=f"Their columns: {columns}"
        ) from error
    return chosen
