"""Milvus follows the pointer: tried with milvus-lite, which is Milvus in a file."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from models.fake import FakeEncoder
from schemas.errors import BundleError
from tests.bundles import SENTENCES, features_for, published
from warehouse.milvus import Milvus, follow_live
from warehouse.pointer import live_pointer, roll_back

pytestmark = pytest.mark.slow

ALIAS = "nightjar_birds"
KEEP = 2


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("milvus") / "birds.db")


@pytest.fixture
def client(uri: str) -> Iterator[MilvusClient]:
    """Milvus without any collection."""
    opened = MilvusClient(uri)
    for name in opened.list_collections():
        opened.drop_collection(name)
    yield opened
    opened.close()


def follow(root: Path, uri: str) -> int:
    return follow_live(root, KEEP, lambda: Milvus(uri, ALIAS))


def led_to(client: MilvusClient) -> str:
    return str(client.describe_alias(ALIAS)["collection_name"]).removeprefix(f"{ALIAS}_")


def test_nothing_live_is_nothing_to_follow(tmp_path: Path) -> None:
    assert follow_live(tmp_path, KEEP, lambda: pytest.fail("connected")) == 0


def test_the_alias_answers_as_the_bundle_does(tmp_path: Path, uri: str, client: MilvusClient) -> None:
    bundle = published(tmp_path, [*SENTENCES, SENTENCES[0]], features_for({SENTENCES[1]: "priority queue"}))

    assert follow(tmp_path, uri) == len(SENTENCES) + 1
    assert follow(tmp_path, uri) == 0  # it is there

    queries = FakeEncoder().encode(["heap smallest item", "locks for threads"]).vectors
    found = client.search(ALIAS, list(queries), limit=1, output_fields=["text", "url", "features", "start", "ds"])
    ours = bundle.dense.search(queries, 1)
    assert np.allclose([[hit["distance"] for hit in hits] for hits in found], ours.scores, atol=1e-6)
    first = found[0][0]["entity"]
    assert (first["text"], first["url"]) == (SENTENCES[1], "http://docs.test/1.html")
    assert (first["features"], first["start"], first["ds"]) == ({"keywords": "priority queue"}, 10, "2026-11-23")


def test_publications_and_rollbacks_switch_the_alias_and_old_versions_go(
    tmp_path: Path, uri: str, client: MilvusClient
) -> None:
    one, two, three = (_published_and_followed(tmp_path, uri, count) for count in (2, 3, 4))
    assert led_to(client) == three
    assert set(client.list_collections()) == {f"{ALIAS}_{two}", f"{ALIAS}_{three}"}

    roll_back(tmp_path)
    assert follow(tmp_path, uri) == 0  # the collection was kept
    assert led_to(client) == two

    roll_back(tmp_path)
    assert follow(tmp_path, uri) == 2  # it was dropped, and comes back from the bundle
    assert led_to(client) == one == live_pointer(tmp_path).index_id
    assert client.list_collections() == [f"{ALIAS}_{one}"]


def test_an_upload_that_was_killed_is_made_anew_and_others_are_left_alone(
    tmp_path: Path, uri: str, client: MilvusClient
) -> None:
    before = _published_and_followed(tmp_path, uri, 2)
    index_id = published(tmp_path).manifest.index_id
    half = f"{ALIAS}_{index_id}"
    client.create_collection(half, dimension=3, id_type="string", max_length=9)
    client.insert(half, [{"id": "half", "vector": [1.0, 0.0, 0.0]}])
    client.create_collection(f"{ALIAS}_of_somebody_else", dimension=3)
    assert led_to(client) == before  # a search never sees half a version

    assert follow(tmp_path, uri) == len(SENTENCES)

    assert led_to(client) == index_id
    assert client.query(ALIAS, output_fields=["count(*)"])[0]["count(*)"] == len(SENTENCES)
    assert f"{ALIAS}_of_somebody_else" in client.list_collections()


def test_a_text_longer_than_milvus_takes_is_cut_between_characters(
    tmp_path: Path, uri: str, client: MilvusClient
) -> None:
    published(tmp_path, ["ä" * 40_000])

    follow(tmp_path, uri)

    (row,) = client.query(ALIAS, filter="start >= 0", output_fields=["text"])
    assert row["text"] == "ä" * 32_767


def test_a_milvus_that_does_not_answer_is_one_clear_line() -> None:
    with pytest.raises(
        BundleError, match=r"^http://127\.0\.0\.1:9: Milvus: .*The index here serves on.*publish CORPUS"
    ):
        Milvus("http://127.0.0.1:9", ALIAS)


def _published_and_followed(root: Path, uri: str, count: int) -> str:
    index_id = published(root, SENTENCES[:count]).manifest.index_id
    follow(root, uri)
    return index_id
