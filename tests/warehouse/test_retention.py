"""Retention: what can still be rolled back to stays."""

import os
import time
from pathlib import Path

from tests.bundles import SENTENCES, built, published
from warehouse.bundle import UNFINISHED
from warehouse.pointer import live_pointer
from warehouse.retention import SECONDS_TO_PUBLISH, retire_bundles


def names(root: Path) -> set[str]:
    return {path.name for path in (root / "indexes").iterdir() if path.is_dir()}


def age(path: Path) -> None:
    long_ago = time.time() - SECONDS_TO_PUBLISH - 60
    os.utime(path, (long_ago, long_ago))


def test_published_versions_beyond_those_kept_go(tmp_path: Path) -> None:
    one, two, three = (published(tmp_path, SENTENCES[:count]).manifest.index_id for count in (2, 3, 4))

    assert retire_bundles(tmp_path, keep=2) == [one]
    assert names(tmp_path) == {two, three}


def test_the_live_version_stays_however_old_it_is(tmp_path: Path) -> None:
    bundle = published(tmp_path)
    age(bundle.folder)

    assert retire_bundles(tmp_path, keep=1) == []
    assert names(tmp_path) == {live_pointer(tmp_path).index_id}


def test_a_version_that_is_about_to_be_published_stays(tmp_path: Path) -> None:
    published(tmp_path)
    waiting = built(tmp_path, SENTENCES[:3])

    assert retire_bundles(tmp_path, keep=1) == []

    age(waiting.folder)
    assert retire_bundles(tmp_path, keep=1) == [waiting.manifest.index_id]


def test_what_a_killed_build_left_goes_once_it_is_old(tmp_path: Path) -> None:
    published(tmp_path)
    left = tmp_path / "indexes" / f"{UNFINISHED}abc"
    left.mkdir()

    retire_bundles(tmp_path, keep=1)
    assert left.exists()
    age(left)
    retire_bundles(tmp_path, keep=1)
    assert not left.exists()


def test_nothing_goes_while_nothing_is_live(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    age(bundle.folder)

    assert retire_bundles(tmp_path, keep=1) == []
