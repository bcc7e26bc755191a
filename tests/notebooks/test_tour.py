"""The tour is committed without outputs."""

from pathlib import Path

import nbformat


TOUR = Path(__file__).resolve().parents[2] / "notebooks" / "tour.ipynb"


def test_the_tour_is_committed_without_outputs() -> None:
    tour = nbformat.read(TOUR, as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in tour.cells)
