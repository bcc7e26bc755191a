"""A machine that slept through two nights."""

from datetime import date
from pathlib import Path

import pytest
from prefect.artifacts import Artifact

from flows import opening
from flows.nightly import nightly
from flows.nights import nights_to_make_up
from flows.runs import newest_runs
from schemas.corpus import load_corpus
from tests.conftest import Night
from tests.small_site import copy_night

pytestmark = pytest.mark.usefixtures("prefect_api")


def dates_of_runs(corpus: str) -> list[str]:
    loaded = load_corpus(corpus)
    return [f"{run['ds']}" for run in newest_runs(opening.open_warehouse(loaded), loaded, limit=10)]


def told() -> str:
    artifact = Artifact.get("missed-birds")
    assert artifact is not None
    return str(artifact.data)


def test_missed_nights_are_told_of_and_made_up_for_as_the_corpus_says(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = copy_night(night.corpus, tmp_path)  # its night was on the first of January
    each = Path(corpus).read_text() + '\n[nights]\nmissed = "each"\nmost = 1\n'
    Path(corpus).write_text(each)
    monkeypatch.setattr(opening, "today", lambda: date(2026, 1, 4))
    nightly(corpus)
    assert dates_of_runs(corpus) == ["2026-01-04", "2026-01-03", "2026-01-01"]
    assert told() == "2 nights were missed. Made up for: 2026-01-03. Left as holes: 2026-01-02."
    assert nights_to_make_up(corpus, None) == ()
    monkeypatch.setattr(opening, "today", lambda: date(2026, 1, 7))
    assert nights_to_make_up(corpus, date(2026, 1, 6)) == ()  # a date that is asked for is all that is done
    assert nights_to_make_up(corpus, None) == (date(2026, 1, 6),)
