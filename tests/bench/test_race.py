"""Processes that write the same keys at the same time lose nothing and write nothing twice."""

import pytest

from bench.race import KEYS_PER_COMMIT, race

# Spark is opened before the race opens it: the JVM that comes first is that of all tests.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("spark")]


def test_every_key_stands_once() -> None:
    found = race(processes=2, commits=4)
    # With two writers both halves of every batch are the other's halves.
    assert found["keys"] == found["rows"] == found["rows the writers counted"] == 4 * KEYS_PER_COMMIT
    assert found["keys that stand twice"] == 0
