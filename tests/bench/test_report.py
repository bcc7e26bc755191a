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


def test_counts_of_what_must_not_happen_are_met_at_none() -> None:
    none, one = (Measured("failed", ours=count, reference=0, reference_name="at rest", goal=1.0) for count in (0, 1))
    assert (none.ratio, none.met) == (1.0, True)
    assert (json.loads(one.as_json())["ratio"], one.met) == (None, False)
