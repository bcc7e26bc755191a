"""What a unit of work hands back: rows to commit, rejections to quarantine, tokens to account for."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa

from schemas.quarantine import Reason


@dataclass(frozen=True)
class Rejection:
    """One source that gave no row.

    Attributes:
        source_key: key of the source: a body_hash, text_hash or question_id.
        reason: why, from the enumeration.
        detail: one line for a person.
        raw: the text that was rejected, if there is any.
    """

    source_key: str
    reason: Reason
    detail: str
    raw: str | None = None


def failure(source_key: str, url: str, reason: Reason, error: Exception) -> Rejection:
    """The rejection of a source that work failed on; one that took all memory is rejected for that."""
    found = Reason.MEMORY_LIMIT if isinstance(error, MemoryError) else reason
    return Rejection(source_key, found, f"{url}: {type(error).__name__}: {error}")


@dataclass(frozen=True)
class Outcome:
    """The result of one batch.

    Attributes:
        rows: rows of the job's result table; the job itself stamps `run_id`, `created_at` and `ds`.
        rejections: sources that gave no row.
        prompt_tokens: tokens that models read, rejected attempts included.
        output_tokens: tokens that models wrote, rejected attempts included.
    """

    rows: pa.Table
    rejections: tuple[Rejection, ...] = ()
    prompt_tokens: int = 0
    output_tokens: int = 0


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """Several outcomes of one job, at least one, as one."""
    return Outcome(
        pa.concat_tables([outcome.rows for outcome in outcomes]),
        tuple(chain.from_iterable(outcome.rejections for outcome in outcomes)),
        sum(outcome.prompt_tokens for outcome in outcomes),
        sum(outcome.output_tokens for outcome in outcomes),
    )
