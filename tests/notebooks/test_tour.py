"""The tour runs from top to bottom over a warehouse that a night has filled, and is committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import Night

TOUR = Path(__file__).resolve().parents[2] / "notebooks" / "tour.ipynb"


def test_the_tour_is_committed_without_outputs() -> None:
    tour = nbformat.read(TOUR, as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in tour.cells)


@pytest.mark.slow
def test_the_tour_runs(night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTJAR_CORPUS", night.corpus)
    tour = nbformat.read(TOUR, as_version=4)
    NotebookClient(tour, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))
    shown = [output for cell in tour.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/svg+xml" in output.get("data", {}) for output in shown) == 4
    assert any("barn owl" in str(output.get("data", {}).get("text/html", "")) for output in shown)
