"""Batches of texts of like lengths, on a CPU one to a thread."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")


def in_batches(
    counts: Sequence[int], batch_size: int, encode: Callable[[list[int]], Made], device: str
) -> Iterator[tuple[list[int], Made]]:
    """Encode texts batch by batch, the longest first.

    On a CPU batches are worked on side by side, each by its share of the cores. Cores that share a batch wait for each
    other after every layer, and for whatever else the machine does.

    Args:
        counts: tokens of each text.
        encode: from places of texts to what is made of these; in other threads than the caller's.
        device: kind of device that it runs on, such as cpu.

    Returns:
        Places and what was made of them, batch after batch.
    """
    batches = list(by_length(counts, batch_size))
    if device != "cpu" or len(batches) < 2:
        return ((batch, encode(batch)) for batch in batches)
    return zip(batches, _side_by_side(encode, batches), strict=True)


def by_length(counts: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Places of texts in batches, the longest first: like lengths share a pass, and less of it is padding.

    Args:
        counts: tokens of each text.
    """
    places = sorted(range(len(counts)), key=lambda place: -counts[place])
    for start in range(0, len(places), batch_size):
        yield places[start : start + batch_size]


def _side_by_side(encode: Callable[[list[int]], Made], batches: Sequence[list[int]]) -> Iterator[Made]:
    import torch

    cores = torch.get_num_threads()
    threads = min(cores, len(batches))
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(cores // threads,)) as pool:
            yield from pool.map(encode, batches)
    finally:
        torch.set_num_threads(cores)  # torch gives threads that start later what was last asked for, by whomever
