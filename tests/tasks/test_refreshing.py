"""What goes into an index beside the passages, and what the gates leave in `indexes`."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from models.fake import FAKE_ENCODER_ID, FakeEncoder
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus, IndexSettings, PassagesSettings
from schemas.embeddings import EMBEDDINGS
from schemas.errors import GateError
from schemas.indexes import INDEXES
from tasks.index_tables import describable
from tasks.refreshing import build, check, publish
from tasks.run import Run, Silent
from tests.bundles import SENTENCES, built, chunks_of, published, vectors_for
from warehouse.bundle import open_version
from warehouse.pointer import live_pointer
from warehouse.registry import registry_of
from warehouse.tables import Warehouse


def test_features_of_texts_that_every_page_withholds_stay_out() -> None:
    features = pa.table({"text_hash": ["one", "both", "withheld", "unknown", "nowhere"]})
    chunks = pa.table(
        {
            "text_hash": ["one", "both", "both", "withheld", "withheld", "unknown"],
            "withheld": pa.array([False, True, False, True, True, None]),
        }
    )
    assert describable(features, chunks)["text_hash"].to_pylist() == ["one", "both", "unknown"]
    assert describable(features, chunks.drop_columns(["withheld"])) == features


def test_a_failing_version_is_rejected_or_by_force_let_through_and_either_is_recorded(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    warehouse.add(CHUNKS, chunks_of(SENTENCES))
    warehouse.add(EMBEDDINGS, vectors_for(SENTENCES))
    live = published(tmp_path, SENTENCES[:5]).manifest.index_id
    failing = built(tmp_path, SENTENCES[:4]).manifest.index_id
    warehouse.add(INDEXES, INDEXES.rows([{**INDEXES.example, "index_id": failing, "state": "built", "gates": []}]))
    settings = IndexSettings(smoke_queries=("sockets", "heap"))
    corpus = Corpus(name="c", warehouse=str(tmp_path), passages=PassagesSettings(path="unread"), index=settings)
    run = Run(warehouse, corpus, "20260101T000000-0000", date(2026, 1, 1), Silent())
    failed = ["live_chunks_missing", "smoke_queries_unanswered"]

    with (
        run.stage("gate") as stage,
        pytest.raises(GateError, match=r"live_chunks_missing is 2.*queries_unanswered is 1"),
    ):
        check(stage, failing, FakeEncoder, tmp_path / "pages")
    assert _verdict(warehouse) == ("rejected", failed, False)

    with run.stage("gate") as stage:
        check(stage, failing, FakeEncoder, tmp_path / "pages", force=True)
    assert _verdict(warehouse) == ("rejected", failed, True)
    assert stage.ledger.detail == f"forced past {', '.join(failed)}"
    assert live_pointer(tmp_path).index_id == live  # checking publishes nothing


def _verdict(warehouse: Warehouse) -> tuple[str, list[str], bool]:
    (row,) = warehouse.arrow(INDEXES, warehouse.read(INDEXES)).to_pylist()
    return row["state"], row["failed_gates"], row["forced"]


@pytest.mark.parametrize("name", ["chunks.arrow", "manifest.json"])
def test_a_damaged_live_index_is_built_again_though_nothing_has_changed(
    warehouse: Warehouse, tmp_path: Path, name: str
) -> None:
    warehouse.add(CHUNKS, chunks_of(SENTENCES))
    warehouse.add(EMBEDDINGS, vectors_for(SENTENCES))
    corpus = Corpus(name="c", warehouse=str(tmp_path), passages=PassagesSettings(path="unread"))

    def refreshed() -> str | None:
        run = Run(warehouse, corpus, "20260101T000000-0000", date(2026, 1, 1), Silent())
        with run.stage("index") as stage:
            index_id = build(stage, FAKE_ENCODER_ID, [])
            publish(stage, index_id, FAKE_ENCODER_ID)
        return index_id

    live = refreshed()
    assert live and refreshed() is None
    (registry_of(tmp_path).folder / live / name).unlink()

    assert refreshed() == live
    assert open_version(tmp_path, live, verify=True).manifest.chunks == len(SENTENCES)
    assert warehouse.read(INDEXES).count() == 1
