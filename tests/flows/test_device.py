"""Stages that use a model take turns where there is a limit, and never wait where there is none."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flows import device


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The limits that are held, by name."""
    names: list[str] = []

    @contextmanager
    def concurrency(name: str, occupy: int) -> Iterator[None]:
        names.extend([name] * occupy)
        try:
            yield
        finally:
            names.remove(name)

    monkeypatch.setattr(device, "concurrency", concurrency)
    return names


def test_a_place_is_taken_with_the_first_model_and_given_back_at_the_end(held: list[str]) -> None:
    with device.device() as taking_turns:
        opened = taking_turns(lambda: "a model")
        assert held == []
        assert [opened(), opened(), taking_turns(lambda: "another")()] == ["a model", "a model", "another"]
        assert held == [device.DEVICE_LIMIT]
    assert held == []


def test_a_failing_stage_gives_its_place_back(held: list[str]) -> None:
    with pytest.raises(RuntimeError), device.device() as taking_turns:
        taking_turns(lambda: None)()
        raise RuntimeError
    assert held == []
