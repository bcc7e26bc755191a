"""A gate measures in one pass and says which expectation failed, by how much."""

from pathlib import Path

import pytest

from schemas.embeddings import EMBEDDINGS
from schemas.errors import GateError
from schemas.table import Expectation
from warehouse.gates import judge, measure, write_page
from warehouse.tables import Warehouse


def test_measure_counts_what_breaks_an_expectation(warehouse: Warehouse) -> None:
    rows = EMBEDDINGS.rows(
        [
            {"text_hash": "a", "encoder_id": "e", "vector": [0.6, 0.8], "run_id": "r"},
            {"text_hash": "a", "encoder_id": "e", "vector": [3.0, 4.0], "run_id": "r"},
            {"text_hash": "b", "encoder_id": "e", "vector": [1.0], "run_id": "r"},
        ]
    )
    figures = measure(warehouse.frame(rows), EMBEDDINGS.all_expectations)
    assert figures == {"key_not_null": 0, "key_unique": 1, "unit_length": 1, "one_dimension_each": 1}


def test_measure_of_an_empty_table_passes(warehouse: Warehouse) -> None:
    figures = measure(warehouse.read(EMBEDDINGS), EMBEDDINGS.all_expectations)
    assert not judge("embeddings", figures, EMBEDDINGS.all_expectations).failed


def test_judge_names_what_failed_and_the_bounds(tmp_path: Path) -> None:
    expectations = (
        Expectation("recall", "1", minimum=0.9, meaning="recall@10 against exact search"),
        Expectation("missing", "0", maximum=0),
        Expectation("tokens", "0", minimum=1, maximum=512),
    )
    result = judge("version", {"recall": 0.5, "missing": 0.0, "tokens": 600.0}, expectations)
    assert [expectation.name for expectation in result.failed] == ["recall", "tokens"]
    page = write_page(result, tmp_path)
    assert "recall" in page.read_text()
    with pytest.raises(GateError) as caught:
        result.raise_if_failed(str(page))
    line = str(caught.value)
    assert line.startswith("gate of version: recall is 0.5, wanted at least 0.9 (recall@10 against exact search)")
    assert "tokens is 600, wanted 1 to 512" in line
    assert str(page) in line


def test_a_bound_itself_is_good() -> None:
    expectation = Expectation("recall", "1", minimum=0.9, maximum=1.0)
    assert not judge("version", {"recall": 0.9}, (expectation,)).failed
    assert not judge("version", {"recall": 1.0}, (expectation,)).failed
