"""What plans say of what earlier runs measured."""

from typing import Any

import pytest

from tasks.planning import Measured, Remembered, Why, measured_of, plan_stage


def ledger(rows_in: int, skipped: int, seconds: float, tokens: int = 0) -> dict[str, Any]:
    return {
        "rows_in": rows_in,
        "skipped": skipped,
        "seconds": seconds,
        "prompt_tokens": tokens,
        "output_tokens": tokens // 4,
    }


def test_a_source_costs_what_it_cost_beyond_an_idle_stage() -> None:
    measured = measured_of([ledger(10, 10, 2.0), ledger(20, 10, 12.0, 800), ledger(15, 10, 7.0, 400)])
    # 15 sources took 10 + 5 seconds beyond the 2 that nothing to do takes, and 1000 + 500 tokens, of which a fifth
    # was written.
    assert measured == Measured(idle=2.0, busy=9.5, seconds=1.0, tokens=100.0, written=20.0, seconds_per_token=0.01)
    assert measured.over(30) == (3000, 32.0)
    assert measured.over(0) == (0, 2.0)


def test_what_was_never_measured_stays_open() -> None:
    assert measured_of([]).over(5) == (None, None)
    assert measured_of([ledger(4, 4, 1.0)]).over(5) == (None, None)
    assert measured_of([ledger(4, 4, 1.0)]).over(0) == (0, 1.0)


def test_a_known_prompt_counts_instead_of_what_was_read_before() -> None:
    measured = Measured(idle=2.0, seconds=1.0, tokens=100.0, written=20.0, seconds_per_token=0.01)
    longer = measured.reading(380.0, Measured())
    assert longer.over(10) == (4000, 2.0 + 40.0)


def test_a_recipe_that_never_ran_is_taken_to_write_what_its_like_wrote() -> None:
    runs = Remembered(
        {
            "features:keywords": [ledger(10, 0, 10.0, 800)],
            "contexts:context": [ledger(10, 0, 40.0, 8000)],
            "embed": [ledger(10, 0, 1.0, 80)],
        }
    )
    alike = runs.of_recipes("features")
    assert (alike.written, alike.seconds_per_token) == (20.0, 0.01)
    assert runs.of("features:essay").reading(180.0, alike).over(5) == (1000, 10.0)
    other = runs.of_recipes("synthetic_queries")  # none of that table ran: all recipes count, and no encoder
    assert other.written == (200 + 2000) / 20
    assert runs.of("features:essay").reading(180.0, Remembered({}).of_recipes("features")).over(5) == (None, None)


def test_retries_and_the_length_that_a_recipe_allows_count() -> None:
    # 10 sources were asked about 15 times, each time for 40 tokens at most: 200 of 600 were written.
    runs = Remembered({"features:keywords": [ledger(10, 0, 10.0, 800) | {"requests": 15, "most": 40}]})
    alike = runs.of_recipes("features")
    assert (alike.requests, alike.filled) == (1.5, 1 / 3)
    never_ran = runs.of("features:essay").reading(100.0, alike, most=120)
    assert never_ran.tokens == pytest.approx(1.5 * (100 + 120 / 3))
    ran = runs.of("features:keywords").reading(100.0, alike, most=40)
    assert ran.tokens == pytest.approx(1.5 * 100 + 20)


@pytest.mark.parametrize(("price", "cost"), [(None, None), (2.0, 0.0012)])
def test_a_price_is_of_a_million_tokens(price: float | None, cost: float | None) -> None:
    measured = Measured(idle=0.0, busy=1.0, seconds=0.5, tokens=100.0)
    planned = plan_stage("embed", {Why.NEW_SOURCE: 4}, 2, measured, price)
    assert (planned.rows, planned.tokens, planned.seconds) == (6, 600, 3.0)
    assert planned.cost == (None if cost is None else pytest.approx(cost))
