"""The embed stage: the same vectors in this process and on Spark's executors."""

from datetime import date
from pathlib import Path

import pytest

from models.fake import FAKE_ENCODER_ID, FakeEncoder
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus
from schemas.embeddings import EMBEDDINGS
from schemas.errors import WarehouseError
from tasks.embeddings import embed
from tasks.run import Run, Silent
from tests.bundles import SENTENCES, chunks_of, hash_of
from warehouse.tables import Warehouse


def embedded(warehouse: Warehouse, where: str) -> tuple[dict[str, list[float]], dict[str, object]]:
    warehouse.add(CHUNKS, chunks_of([*SENTENCES, SENTENCES[0]]))
    told = {"name": "test", "crawl": {"seeds": ["http://example.org/"]}, "encoder": {"engine": "fake", "where": where}}
    run = Run(warehouse, Corpus.model_validate(told), "r1", date(2026, 1, 1), Silent())
    with run.stage("embed") as stage:
        embed(stage, FAKE_ENCODER_ID, FakeEncoder)
    stored = warehouse.arrow(EMBEDDINGS, warehouse.read(EMBEDDINGS)).to_pylist()
    return {row["text_hash"]: row["vector"] for row in stored}, vars(stage.ledger)


def test_executors_encode_what_this_process_encodes(warehouse: Warehouse, tmp_path: Path) -> None:
    mine, ledger = embedded(Warehouse(warehouse.spark, str(tmp_path / "here")), "here")
    theirs, their_ledger = embedded(warehouse, "spark")
    assert mine == theirs
    assert mine.keys() == {hash_of(sentence) for sentence in SENTENCES}
    for figure in ("rows_in", "rows_out", "prompt_tokens"):
        assert ledger[figure] == their_ledger[figure]


def test_an_executor_without_the_model_says_so_in_one_line(warehouse: Warehouse) -> None:
    warehouse.add(CHUNKS, chunks_of(SENTENCES))
    told = {"name": "test", "crawl": {"seeds": ["http://example.org/"]}, "encoder": {"model": "none", "where": "spark"}}
    run = Run(warehouse, Corpus.model_validate(told), "r1", date(2026, 1, 1), Silent())
    failed = pytest.raises(WarehouseError, match=r"work on Spark's executors failed: no model 'none'")
    with failed as raised, run.stage("embed") as stage:
        embed(stage, "an encoder", FakeEncoder)
    assert "\n" not in str(raised.value)
