"""Benchmarks say the same to people and to machines."""

import json

from bench.report import Measured


def test_a_figure_within_its_goal() -> None:
    measured = Measured("merge, s", ours=3.0, reference=2.5, reference_name="plain Spark", goal=1.2)
    assert json.loads(measured.as_json()) == {
        "measure": "merge, s",
        "ours": 3.0,
        "reference": 2.5,
        "reference_name": "plain Spark",
        "ratio": 1.2,
        "goal": 1.2,
        "met": True,
    }
    assert str(measured).endswith("goal 1.2: met")


def test_a_reference_without_a_goal_is_only_shown() -> None:
    measured = Measured("append, s", ours=3.0, reference=1.0, reference_name="deltalake")
    assert measured.met is None
    assert "goal" not in str(measured)
