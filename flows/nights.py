"""Nights that were missed: found, told of, and made up for as the corpus file says."""

from datetime import date

from flows import opening
from flows.artifacts import show_missed
from flows.progress import progress_for_terminal
from schemas.corpus import load_corpus
from tasks.nights import last_night, made_up_for, missed_nights


def nights_to_make_up(corpus: str, ds: date | None) -> tuple[date, ...]:
    """Missed dates that get a night before today's, oldest first; none where a date is asked for.

    Args:
        corpus: name of a shipped corpus, or path of a corpus file.
        ds: logical date that is asked for.
    """
    if ds:
        return ()
    loaded = load_corpus(corpus)
    missed = missed_nights(last_night(opening.open_warehouse(loaded)), opening.today())
    if not missed:
        return ()
    chosen = made_up_for(missed, loaded.nights)
    holes = [day for day in missed if day not in chosen]
    said = f"{len(missed)} nights were missed. Made up for: {_listed(chosen)}. Left as holes: {_listed(holes)}."
    progress_for_terminal().note(said)
    show_missed(loaded.name, said)
    return chosen


def _listed(days: tuple[date, ...] | list[date]) -> str:
    return ", ".join(f"{day}" for day in days) or "none"
