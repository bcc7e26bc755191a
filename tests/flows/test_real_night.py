"""A night with the real models, read back by a program that is not ours."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable

from flows.nightly import nightly
from schemas.catalog import TABLES
from tests.small_site import write_corpus

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]


@pytest.fixture(scope="module")
def real_night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("real")
    corpus = write_corpus(folder, language_model="vllm", encoder="sentence-transformers")
    return folder / "root" / "tables", nightly(corpus, "2026-01-01")


def rows(root: Path, table: str) -> list[dict[str, Any]]:
    return DeltaTable(str(root / table)).to_pyarrow_table().to_pylist()


def test_the_night_completes_and_models_spoke(real_night: tuple[Path, dict[str, Any]]) -> None:
    _, run = real_night
    stages = {stage["stage"]: stage for stage in run["stages"]}
    assert run["state"] == "completed"
    assert stages["contexts:context"]["rows_out"] == 1
    assert all(stages[name]["tokens"] > 0 for name in ("features:keywords", "synthetic_queries:query", "embed"))


@pytest.mark.parametrize("name", sorted(TABLES))
def test_keys_are_whole_and_unique(real_night: tuple[Path, dict[str, Any]], name: str) -> None:
    root, _ = real_night
    keys = [tuple(row[part] for part in TABLES[name].key) for row in rows(root, name)]
    assert len(set(keys)) == len(keys)
    assert not any(part is None for key in keys for part in key)


def test_the_ledger_counts_what_the_tables_hold(real_night: tuple[Path, dict[str, Any]]) -> None:
    root, run = real_night
    written = {stage["stage"].split(":")[0]: stage["rows_out"] for stage in run["stages"]}
    for stage, table in {"crawl": "pages", "extract": "documents", "chunk": "chunks", "embed": "embeddings"}.items():
        assert len(rows(root, table)) == written[stage]
    assert len(rows(root, "features")) == written["features"]


def test_vectors_have_384_numbers_and_norm_1(real_night: tuple[Path, dict[str, Any]]) -> None:
    root, _ = real_night
    vectors = np.array([row["vector"] for row in rows(root, "embeddings")])
    assert vectors.shape[1] == 384
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-4)


def test_what_was_written_is_about_chunks_that_exist(real_night: tuple[Path, dict[str, Any]]) -> None:
    root, _ = real_night
    known = {row["text_hash"] for row in rows(root, "chunks")}
    for table in ("features", "synthetic_queries", "embeddings"):
        assert {row["text_hash"] for row in rows(root, table)} <= known
