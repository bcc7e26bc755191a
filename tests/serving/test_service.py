"""The HTTP service: bounded, honest about its index version, and safe with hostile text."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from models.fake import FakeEncoder
from schemas.chunks import CHUNKS
from schemas.hashing import digest
from serving.follow import LiveIndex
from serving.fusion import Fusion
from serving.highlights import Span, marked, web_address
from serving.search import open_index
from serving.service import LONGEST_BODY, create_app
from tests.bundles import SENTENCES, built, features_for, published
from warehouse.bundle import Bundle
from warehouse.pointer import swap_pointer

HOSTILE = 'A moth <script>alert(1)</script> "onmouseover="alert(2) javascript:alert(3) flies.'


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    published(tmp_path, (*SENTENCES, HOSTILE), features_for({HOSTILE: "<img src=x onerror=alert(4)>"}))
    live = LiveIndex(tmp_path, FakeEncoder, lambda text: len(text.split()))
    with TestClient(create_app(live, seconds_between_looks=0.01), raise_server_exceptions=False) as opened:
        yield opened


def test_get_and_post_give_the_same_answer_and_name_the_version(client: TestClient) -> None:
    asked = {"query": "smallest heap", "mode": "lexical", "k": 2}
    answer = client.post("/search", json=asked).json()
    assert answer == client.get("/search", params=asked).json()
    assert answer["index_id"] == client.get("/health").json()["index_id"]
    (hit,) = answer["hits"]
    text = SENTENCES[1]
    assert [text[mark["start"] - hit["start"] : mark["end"] - hit["start"]] for mark in hit["highlights"]] == [
        "heap",
        "smallest",
    ]


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
def test_filters_keep_only_what_they_ask_for(client: TestClient, mode: str) -> None:
    asked = {"query": "item heap list", "mode": mode, "url_prefix": "http://docs.test/1."}
    assert [hit["url"] for hit in client.post("/search", json=asked).json()["hits"]] == ["http://docs.test/1.html"]


def _flip_last_byte(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def _of_another_encoder(bundle: Bundle) -> None:
    bundle.manifest.model_copy(update={"encoder_id": "another"}).write(bundle.folder)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"since": "2026-11-23"}, True),
        ({"until": "2026-11-23"}, True),
        ({"since": "2026-11-01", "until": "2026-11-30"}, True),
        ({"since": "2026-11-24"}, False),
        ({"until": "2026-11-22"}, False),
        ({"kind": "text"}, True),
        ({"kind": "table"}, False),
        ({"licence": CHUNKS.example["licence"]}, True),
        ({"licence": "another"}, False),
        ({"doc_id": digest("1")}, True),
        ({"doc_id": digest("2")}, False),
    ],
)
def test_every_filter_lets_through_what_it_names(client: TestClient, asked: dict[str, str], found: bool) -> None:
    hits = client.get("/search", params={"query": "smallest heap", "mode": "lexical", **asked}).json()["hits"]
    assert [hit["ds"] for hit in hits] == (["2026-11-23"] if found else [])


def test_promptprf_over_http_is_promptprf_in_process(client: TestClient, tmp_path: Path) -> None:
    index = open_index(tmp_path, FakeEncoder, lambda text: len(text.split()))
    for depth in (0, 1, 4):
        for positional in (True, False):
            asked = {"query": "a moth", "mode": "dense", "prf": "keywords", "depth": depth, "positional": positional}
            answer = client.get("/search", params=asked).json()
            hits = index.search("a moth", 10, "dense", "keywords", depth, positional=positional)
            assert [(hit["chunk_id"], hit["score"]) for hit in answer["hits"]] == [
                (hit.chunk_id, hit.score) for hit in hits
            ]


def test_fusion_and_weights_are_parameters(client: TestClient, tmp_path: Path) -> None:
    index = open_index(tmp_path, FakeEncoder, lambda text: len(text.split()))
    asked = {"query": "smallest heap", "fusion": "min-max", "parts": ["lexical", "dense"], "weights": [0.2, 0.8]}
    answer = client.get("/search", params=asked).json()
    assert answer == client.post("/search", json=asked).json()
    hits = index.search("smallest heap", mode="hybrid", fusion=Fusion(("lexical", "dense"), "min-max", (0.2, 0.8)))
    assert [hit["score"] for hit in answer["hits"]] == [hit.score for hit in hits]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda bundle: bundle.folder.rename(bundle.folder.with_name("elsewhere")), "there is no such index version"),
        (lambda bundle: (bundle.folder / "dense.faiss").unlink(), "dense.faiss: the file is missing"),
        (lambda bundle: _flip_last_byte(bundle.folder / "dense.faiss"), "dense.faiss: the file's checksum"),
        (lambda bundle: (bundle.folder / "manifest.json").write_text("{"), "manifest is not readable"),
        (_of_another_encoder, "built with encoder another"),
    ],
)
def test_a_version_that_cannot_serve_is_told_of_by_health_and_the_one_before_answers(
    client: TestClient, tmp_path: Path, spoil: Callable[[Bundle], object], told: str
) -> None:
    before = client.get("/health").json()["index_id"]
    bad = built(tmp_path, SENTENCES[:4])
    spoil(bad)
    swap_pointer(tmp_path, bad.manifest.index_id, expected=before)
    while not (health := client.get("/health").json())["problem"]:
        pass
    assert (health["status"], health["index_id"]) == ("degraded", before)
    assert bad.manifest.index_id in health["problem"] and told in health["problem"]
    answer = client.get("/search", params={"query": "moth"}).json()
    assert answer["index_id"] == before and answer["hits"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"query": ""}, 422),
        ({"query": "x", "k": 101}, 422),
        ({"query": "x" * 1001}, 422),
        ({"query": "x", "mode": "nonsense"}, 422),
        ({"query": "x", "nonsense": 1}, 422),
        ({"query": "x", "mode": "dense", "prf": "nonsense"}, 400),
        ({"query": "x", "mode": "lexical", "prf": "keywords"}, 400),
        ({"query": "x", "mode": "sparse"}, 400),
        ({"query": "x", "parts": ["dense"]}, 400),
        ({"query": "x", "weights": [1, 1]}, 400),
        ({"query": "x", "fusion": "sum"}, 422),
        ({"query": "x", "depth": 21}, 422),
        ({"query": "x", "since": "yesterday"}, 422),
        ({"query": "x" * LONGEST_BODY}, 413),
    ],
)
def test_a_bad_request_is_one_json_line(client: TestClient, asked: dict[str, object], status: int) -> None:
    response = client.post("/search", json=asked)
    assert response.status_code == status
    assert response.json().keys() == {"error"}
    assert "\n" not in response.text


def test_hostile_text_is_shown_as_text(client: TestClient) -> None:
    response = client.get("/", params={"query": 'moth "><script>alert(0)</script>', "mode": "lexical"})
    assert response.status_code == 200
    assert "<script" not in response.text
    assert "<img" not in response.text
    assert '"onmouseover' not in response.text
    assert "&lt;img src=x onerror=alert(4)&gt;" in response.text
    assert "<mark>moth</mark>" in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_only_web_addresses_become_links() -> None:
    assert web_address("https://docs.test/a") == "https://docs.test/a"
    assert web_address("javascript:alert(1)") is None
    assert web_address(" javascript:alert(1)//https://docs.test") is None
    assert web_address("data:text/html,x") is None


def test_pieces_are_the_text() -> None:
    assert marked("a moth", [Span(2, 6)]) == [("a ", False), ("moth", True)]


def test_metrics_count_by_route(client: TestClient) -> None:
    client.get("/health")
    client.get("/no-such-path")
    text = client.get("/metrics").text
    assert 'nightjar_requests_total{route="/health",status="200"} 1.0' in text
    assert "no-such-path" not in text


def test_swaps_fail_no_request_and_mix_no_versions(tmp_path: Path) -> None:
    versions = {published(tmp_path, SENTENCES[:count]).manifest.index_id: count for count in (3,)}
    live = LiveIndex(tmp_path, FakeEncoder, lambda text: len(text.split()))
    seen: list[tuple[str, set[str], int]] = []
    stopped = threading.Event()
    with TestClient(create_app(live, seconds_between_looks=0.01)) as client:

        def ask() -> None:
            while not stopped.is_set():
                response = client.post("/search", json={"query": "heap", "mode": "dense"})
                answer = response.json()
                assert response.status_code == 200
                seen.append((answer["index_id"], {hit["index_id"] for hit in answer["hits"]}, len(answer["hits"])))

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for count in (4, 5, 6):
            index_id = published(tmp_path, SENTENCES[:count]).manifest.index_id
            versions[index_id] = count
            while client.get("/health").json()["index_id"] != index_id:
                assert all(thread.is_alive() for thread in threads)
        stopped.set()
        for thread in threads:
            thread.join()
    assert seen
    assert all(hits == {index_id} and size == versions[index_id] for index_id, hits, size in seen)
