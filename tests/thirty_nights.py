"""What a crawler with a simulated clock has seen: thirty nights of a site whose pages change, go and come back."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from schemas.hashing import digest

FIRST = date(2026, 1, 1)


def fetched(url: str, day: int, outcome: str, text: str) -> dict[str, Any]:
    body = f"<html><body><h1>Birds</h1><p>{text} of a bird that sings at night.</p></body></html>".encode()
    there = outcome in ("ok", "not_modified")
    return {
        "url": url,
        "ds": FIRST + timedelta(days=day),
        "fetched_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day),
        "outcome": outcome,
        "status": {"ok": 200, "not_modified": 304}.get(outcome, 404),
        "content_type": "text/html",
        "body": body if outcome == "ok" else None,
        "body_hash": digest(body) if there else None,
        "links": [],
        "depth": 0,
        "run_id": "r0",
    }


def thirty_nights() -> Iterator[dict[str, Any]]:
    """One page a day that stays (304 from then on), one that changes on day 14, one that goes and comes back."""
    for day in range(30):
        for page in range(day + 1):
            yield fetched(f"http://x.test/{page}", day, "ok" if page == day else "not_modified", f"Page {page}")
        yield fetched("http://x.test/changed", day, "ok" if day in (0, 14) else "not_modified", f"Text {day >= 14}")
        gone = 10 <= day < 16
        yield fetched("http://x.test/back", day, "gone" if gone else "ok" if day in (0, 16) else "not_modified", "Back")
