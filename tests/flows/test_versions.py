"""Publishing by hand, past gates and two at a time, over the warehouse of a night."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from pymilvus import MilvusClient
from typer.testing import CliRunner

from flows import cli
from flows.backfill import backfill
from flows.opening import open_run, open_warehouse
from models.fake import FAKE_ENCODER_ID, FakeEncoder
from schemas.chunks import CHUNKS
from schemas.corpus import load_corpus
from schemas.errors import BundleError, GateError, NightjarError, UnknownName
from serving.search import open_index
from tasks.refreshing import publish
from tests.bundles import SENTENCES, built
from tests.conftest import Night
from tests.small_site import copy_night
from warehouse.pointer import live_pointer, roll_back

MILVUS = "versions.db"

pytestmark = pytest.mark.usefixtures("prefect_api")


@pytest.fixture(scope="module")
def corpus(night: Night, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A night's corpus that asks for an answer to a query that no page has, and that Milvus follows.

    It has a name of its own: Prefect keeps the artifacts of one name together.
    """
    path = Path(copy_night(night.corpus, tmp_path_factory.mktemp("versions")))
    more = f'[index]\nsmoke_queries = ["owl", "xylophone"]\n[milvus]\nuri = "{path.parent / MILVUS}"\n'
    path.write_text(f"{path.read_text()}\n{more}".replace('name = "birds"', 'name = "versions"'))
    return str(path)


def followed(corpus: str) -> str:
    """The version that the alias in Milvus leads to."""
    milvus = MilvusClient(str(Path(corpus).parent / MILVUS))
    try:
        return str(milvus.describe_alias("nightjar_versions")["collection_name"]).removeprefix("nightjar_versions_")
    finally:
        milvus.close()


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def versions(corpus: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("indexes", corpus, "--json"))["indexes"]
    return found


def test_a_version_that_fails_is_published_by_force_alone_and_that_is_recorded(corpus: str) -> None:
    loaded = load_corpus(corpus)
    warehouse, before = open_warehouse(loaded), live_pointer(loaded.warehouse).index_id
    *_, gone = warehouse.arrow(CHUNKS, warehouse.read(CHUNKS).where("live").orderBy("ordinal", "url")).to_pylist()
    warehouse.merge(CHUNKS, CHUNKS.rows([gone | {"live": False}]))

    with pytest.raises(GateError, match="smoke_queries_unanswered is 1, wanted at most 0"):
        backfill(corpus, stage="index")
    with pytest.raises(GateError, match=r"has failed its gates smoke_queries_unanswered.*add --force"):
        run("publish", corpus)

    assert live_pointer(loaded.warehouse).index_id == before
    (rejected,) = [version for version in versions(corpus) if version["state"] == "rejected"]
    assert not rejected["forced"]
    assert {hit.index_id for hit in _search(corpus)} == {before}

    assert f"{rejected['index_id']} is live now" in run("publish", corpus, "--force")
    (forced,) = [version for version in versions(corpus) if version["live"]]
    assert (forced["index_id"], forced["state"], forced["forced"]) == (rejected["index_id"], "published", True)
    assert "live (forced)" in " ".join(run("indexes", corpus).split())
    assert {hit.index_id for hit in _search(corpus)} == {rejected["index_id"]} == {followed(corpus)}


def test_a_version_that_was_rolled_back_from_is_published_again_by_name(corpus: str) -> None:
    newest, first = (version["index_id"] for version in versions(corpus))
    run("rollback", corpus)
    assert followed(corpus) == first

    with pytest.raises(GateError, match="has failed its gates"):  # force is asked for each time
        run("publish", corpus, newest)
    assert "is live now" in run("publish", corpus, first)  # as it is already
    assert live_pointer(load_corpus(corpus).warehouse).index_id == first
    with pytest.raises(UnknownName, match="unknown index version 'nonsense'"):
        run("publish", corpus, "nonsense")
    with pytest.raises(NightjarError, match="no index version was built yet"):
        run("publish", str(_empty(Path(corpus).parent)))


def test_of_two_refreshes_at_once_one_wins_and_the_other_says_so(corpus: str) -> None:
    root = load_corpus(corpus).warehouse
    made = [built(Path(root), SENTENCES[:count]).manifest.index_id for count in (2, 3)]
    both = Barrier(2)

    def refresh(index_id: str) -> str:
        with open_run(corpus, None) as refreshing, refreshing.stage("publish") as stage:
            assert refreshing.live  # each builds on what is live now
            both.wait()
            try:
                publish(stage, index_id, FAKE_ENCODER_ID)
            except BundleError as error:
                return str(error)
        return ""

    with ThreadPoolExecutor(2) as executor:
        told = list(executor.map(refresh, made))

    winner = live_pointer(root).index_id
    assert sorted(map(bool, told)) == [False, True]
    assert winner == made[told.index("")]
    assert f"another run published {winner}" in max(told)
    roll_back(root)


def _search(corpus: str) -> list[Any]:
    return open_index(load_corpus(corpus).warehouse, _no_encoder, len).search("owls", mode="lexical")


def _no_encoder() -> FakeEncoder:
    raise AssertionError("lexical search opens no encoder")


def _empty(folder: Path) -> Path:
    path = folder / "empty.toml"
    path.write_text(f'name = "empty"\nwarehouse = "{folder}/empty"\n[crawl]\nseeds = ["http://empty.localhost/"]\n')
    return path
