"""Processes that write the same keys at the same time lose nothing and write nothing twice."""

import pytest

from bench.race import KEYS_PER_COMMIT, race

pytestmark = pytest.mark.slow


def test_every_key_stands_once() -> None:
    found = race(processes=2, commits=4)
    # With two writers both halves of every batch are the other's halves.
    assert found["keys"] == found["rows"] == found["rows the writers counted"] == 4 * KEYS_PER_COMMIT
    assert found["keys that stand twice"] == 0
