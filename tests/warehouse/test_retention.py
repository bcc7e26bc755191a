"""Retention: what can still be rolled back to stays."""

import os
import time
from pathlib import Path

import pytest

from tests.bundles import SENTENCES, built, published
from warehouse import retention
from warehouse.pointer import live_pointer
from warehouse.registry import SECONDS_TO_PUBLISH, UNFINISHED, registry_of
from warehouse.retention import retire_bundles


def names(root: str) -> set[str]:
    return set(registry_of(root).versions())


@pytest.fixture
def a_day_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was written before the test asks is old."""
    monkeypatch.setattr(retention, "SECONDS_TO_PUBLISH", -60)


def test_published_versions_beyond_those_kept_go(root: str) -> None:
    one, two, three = (published(root, SENTENCES[:count]).manifest.index_id for count in (2, 3, 4))

    assert retire_bundles(root, keep=2) == [one]
    assert names(root) == {two, three}
    assert not (registry_of(root).folder / one).exists()


@pytest.mark.usefixtures("a_day_later")
def test_the_live_version_stays_however_old_it_is(root: str) -> None:
    published(root)

    assert retire_bundles(root, keep=1) == []
    assert names(root) == {live_pointer(root).index_id}


def test_a_version_that_is_about_to_be_published_stays(root: str) -> None:
    published(root)
    waiting = built(root, SENTENCES[:3])

    assert retire_bundles(root, keep=1) == []
    assert waiting.manifest.index_id in names(root)


@pytest.mark.usefixtures("a_day_later")
def test_a_version_that_was_never_published_goes_once_it_is_old(root: str) -> None:
    published(root)
    given_up = built(root, SENTENCES[:3])

    assert retire_bundles(root, keep=1) == [given_up.manifest.index_id]


def test_what_a_killed_build_left_goes_once_it_is_old(tmp_path: Path) -> None:
    published(tmp_path)
    left = tmp_path / "indexes" / f"{UNFINISHED}abc"
    left.mkdir()

    retire_bundles(tmp_path, keep=1)
    assert left.exists()
    long_ago = time.time() - SECONDS_TO_PUBLISH - 60
    os.utime(left, (long_ago, long_ago))
    retire_bundles(tmp_path, keep=1)
    assert not left.exists()


@pytest.mark.usefixtures("a_day_later")
def test_nothing_goes_while_nothing_is_live(root: str) -> None:
    built(root)

    assert retire_bundles(root, keep=1) == []
