"""Batches of like lengths: every text once, whatever the device, and a CPU's threads as they were."""

import threading
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.batches import in_batches


@pytest.fixture
def three_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 8), st.sampled_from(["cpu", "cuda"]))
def test_every_text_is_encoded_once_the_longest_first(counts: list[int], batch_size: int, device: str) -> None:
    made = list(in_batches(counts, batch_size, lambda places: [counts[place] for place in places], device))
    assert sorted(place for places, _ in made for place in places) == list(range(len(counts)))
    assert [length for _, lengths in made for length in lengths] == sorted(counts, reverse=True)
    assert all(lengths == [counts[place] for place in places] for places, lengths in made)
    assert all(len(places) == batch_size for places, _ in made[:-1])


def _at_work(_: list[int]) -> tuple[str, int]:
    return threading.current_thread().name, torch.get_num_threads()


@pytest.mark.usefixtures("three_cores")
def test_batches_share_the_cores_of_a_cpu_and_leave_them_as_they_were() -> None:
    here = threading.current_thread().name
    alone = [found for _, found in in_batches([1, 1], 2, _at_work, "cpu")]
    assert alone == [(here, 3)]
    assert {found for _, found in in_batches([1] * 4, 2, _at_work, "cuda")} == {(here, 3)}
    both = [found for _, found in in_batches([1] * 4, 2, _at_work, "cpu")]
    assert all(name != here and cores == 1 for name, cores in both)
    assert torch.get_num_threads() == 3
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [3]


@pytest.mark.usefixtures("three_cores")
def test_a_batch_that_fails_is_told_and_the_cores_are_as_they_were() -> None:
    def fail(places: list[int]) -> None:
        raise RuntimeError(f"text {places[0]}")

    with pytest.raises(RuntimeError, match="text 1"):
        list(in_batches([1, 2, 0], 1, fail, "cpu"))
    assert torch.get_num_threads() == 3
