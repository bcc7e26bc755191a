"""The whole night on a small site, with fake models: what is written, and what a second one finds."""

import json
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact
from prefect.client.schemas.sorting import ArtifactSort

from flows.asking import answer
from flows.nightly import nightly
from flows.opening import open_warehouse
from flows.status import status_of
from schemas.corpus import load_corpus
from schemas.errors import CrawlError
from tasks.refreshing import rebuild
from tests.conftest import Night
from tests.small_site import copy_night
from warehouse.manifest import differing_files, read_manifest
from warehouse.pointer import live_pointer
from warehouse.registry import registry_of

pytestmark = pytest.mark.usefixtures("prefect_api")


@pytest.fixture(scope="module")
def corpus(night: Night, tmp_path_factory: pytest.TempPathFactory) -> str:
    return copy_night(night.corpus, tmp_path_factory.mktemp("birds"))


def stages(last_run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {stage["stage"]: stage for stage in last_run["stages"]}


def test_a_first_night_fills_every_table_and_publishes(night: Night) -> None:
    run = night.run
    assert run["state"] == "completed"
    found = stages(run)
    assert found["crawl"]["rows_out"] == 3
    assert found["chunk"]["rows_out"] == found["embed"]["rows_out"] == found["sparse"]["rows_out"] == 4
    assert found["features:keywords"]["rows_out"] == 2
    status = status_of(load_corpus(night.corpus))
    empty = {name for name, facts in status["tables"].items() if not facts["rows"]}
    assert empty == {"quarantine", "rankings", "metrics"}  # nothing was rejected, and nothing is judged here
    assert status["live_index"]["index_id"]
    assert status["last_run"]["run_id"] == run["run_id"]
    assert stages(status["last_run"]).keys() == found.keys()


def artifact_of(key: str, said: str) -> Artifact:
    """The newest artifact of a key that says so: other tests run corpora of this name."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])), sort=ArtifactSort.CREATED_DESC
        )
    return next(each for each in found if said in f"{each.description} {each.data}")


def test_prefect_is_left_the_closing_table_and_the_manifest(night: Night) -> None:
    closing = artifact_of("closing-birds", night.run["run_id"])
    live = live_pointer(Path(night.corpus).parent / "root")
    index = artifact_of("index-birds", live.index_id)
    written = {row["stage"]: row["rows_out"] for row in json.loads(str(closing.data))}
    assert written["chunk"] == written["embed"] == 4
    assert "Gate results:" in str(closing.description)
    assert '"encoder_id"' in str(index.data)


def test_the_index_answers_every_way(corpus: str) -> None:
    loaded = load_corpus(corpus)
    for mode in ("dense", "lexical", "hybrid"):
        first, *_ = answer(loaded, "moths on the wing", k=2, mode=mode)
        assert first["url"] == "http://birds.localhost/nightjar.html"
        assert first["title"] == "nightjar.html"
    assert answer(loaded, "barn owl", k=2, mode="dense", prf="keywords")


def test_a_second_night_finds_nothing_to_do(corpus: str) -> None:
    before = status_of(load_corpus(corpus))
    run = nightly(corpus, "2026-01-01")
    assert [stage["rows_out"] for stage in run["stages"]] == [0] * len(run["stages"])
    assert [stage["tokens"] for stage in run["stages"]] == [0] * len(run["stages"])
    after = status_of(load_corpus(corpus))
    unchanged = [name for name in before["tables"] if name != "runs"]
    assert {name: before["tables"][name] for name in unchanged} == {name: after["tables"][name] for name in unchanged}
    assert after["live_index"] == before["live_index"]


def test_one_changed_paragraph_costs_one_chunk_and_a_first_404_none(corpus: str) -> None:
    (Path(corpus).parent / "site" / "nightjar.html").unlink()
    owl = Path(corpus).parent / "site" / "owl.html"
    owl.write_text(owl.read_text().replace("three voles", "four voles"))
    before = status_of(load_corpus(corpus))
    run = stages(nightly(corpus, "2026-01-02"))
    assert run["extract"]["rows_out"] == 1
    assert run["embed"]["rows_out"] == run["sparse"]["rows_out"] == 1
    assert run["synthetic_queries:query"]["rows_out"] == 1
    after = status_of(load_corpus(corpus))
    assert after["live_index"]["index_id"] != before["live_index"]["index_id"]
    first, *_ = answer(load_corpus(corpus), "four voles", k=1, mode="lexical")
    assert "four voles" in first["text"]
    first, *_ = answer(load_corpus(corpus), "moths on the wing", k=1, mode="lexical")
    assert first["url"] == "http://birds.localhost/nightjar.html"


def test_a_superseded_index_is_built_again_byte_for_byte(corpus: str, night: Night, tmp_path: Path) -> None:
    loaded = load_corpus(corpus)
    superseded = live_pointer(loaded.warehouse).previous[0]
    manifest = read_manifest(registry_of(loaded.warehouse).folder / superseded)
    again = rebuild(open_warehouse(loaded), manifest, tmp_path)
    assert again.manifest.index_id == superseded == live_pointer(load_corpus(night.corpus).warehouse).index_id
    assert differing_files(manifest, again.manifest) == []


def test_a_page_that_is_gone_for_two_nights_leaves_the_index(corpus: str) -> None:
    nightly(corpus, "2026-01-03")
    urls = {hit["url"] for hit in answer(load_corpus(corpus), "moths on the wing", k=10, mode="dense")}
    assert urls == {"http://birds.localhost/index.html", "http://birds.localhost/owl.html"}


def test_an_unreachable_seed_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "lost.toml"
    path.write_text(
        f'name = "lost"\nwarehouse = "{tmp_path}"\n[crawl]\nseeds = ["http://lost.localhost:9/"]\n'
        'allow_private_hosts = ["lost.localhost"]\ndelay_seconds = 0\n'
    )
    with pytest.raises(CrawlError, match=r"http://lost\.localhost:9/: could not be fetched"):
        nightly(str(path), "2026-01-01")
