"""What is known of the pages that files hold, and whether a file says anything new about one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Known:
    """The newest that is stored about a URL.

    Attributes:
        fetched_at: when it was fetched.
        body_hash: of its body, if it has one.
        telling: whether it says something about the page: a failure or a refusal does not.
        robots_tag: its X-Robots-Tag headers: they can change where the body does not.
    """

    fetched_at: datetime
    body_hash: str | None
    telling: bool
    robots_tag: str | None = None


class Captures:
    """The newest capture of every URL: whatever order captures come in, the same ones are kept.

    Args:
        stored: by URL, what the tables hold.
    """

    def __init__(self, stored: Mapping[str, Known]) -> None:
        self._known = dict(stored)

    def may_be_new(self, url: str, fetched_at: datetime) -> bool:
        """Whether a capture of that time can say anything that is not known: asked before its body is read."""
        known = self._known.get(url)
        if known is None:
            return True
        return fetched_at > known.fetched_at if known.telling else fetched_at != known.fetched_at

    def take(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of `pages` is to be stored; if so it is what is known from now on."""
        known = self._known.get(row["url"])
        telling = row["outcome"] == "ok"
        if known is not None and not telling:
            return False  # what failed or was refused says nothing about a page of which something is known
        self._known[row["url"]] = Known(row["fetched_at"], row["body_hash"], telling, row.get("robots_tag"))
        same = known is not None and (known.body_hash, known.robots_tag) == (row["body_hash"], row.get("robots_tag"))
        return known is None or not known.telling or not same


def known_captures(rows: Iterable[Mapping[str, Any]]) -> dict[str, Known]:
    """By URL, from rows with url, fetched_at, body_hash, telling and robots_tag."""
    names = ("fetched_at", "body_hash", "telling", "robots_tag")
    return {row["url"]: Known(*(row[name] for name in names)) for row in rows}
