"""The figures of an index version, against what they must be by construction."""

from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fake import FakeEncoder
from schemas.passage import passage_text
from tests.bundles import HEADINGS, SENTENCES, built, chunks_of, hash_of, source_of, vectors_for
from warehouse.bundle import Bundle, build_bundle
from warehouse.figures import check_bundle, recall, round_trip_ranks
from warehouse.stored import write_rows


def ids(sentences: list[str] | tuple[str, ...]) -> "pa.ChunkedArray[pa.StringScalar]":
    return chunks_of(sentences)["chunk_id"]


def encoded(*texts: str) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return FakeEncoder().encode(texts).vectors


def own_text(sentence: str) -> str:
    return passage_text(HEADINGS, sentence)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return built(tmp_path_factory.mktemp("root"))


def test_a_whole_bundle(bundle: Bundle) -> None:
    assert check_bundle(bundle, ids(SENTENCES), vectors_for(SENTENCES)) == {
        "live_chunks_missing": 0.0,
        "dead_chunks_present": 0.0,
        "recall_at_10": 1.0,
    }


def test_chunks_that_are_missing_or_dead_are_counted(bundle: Bundle) -> None:
    live = pa.chunked_array([[*ids(SENTENCES).to_pylist()[2:], "a", "b", "c"]])

    figures = check_bundle(bundle, live, vectors_for(SENTENCES))

    assert (figures["live_chunks_missing"], figures["dead_chunks_present"]) == (3.0, 2.0)


def test_recall_sees_vectors_that_stand_in_the_wrong_order(tmp_path: Path) -> None:
    count, random = 200, np.random.default_rng(1)
    sentences = [f"sentence {number}" for number in range(count)]
    vectors = random.standard_normal((count, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = pa.table({"text_hash": [hash_of(sentence) for sentence in sentences], "vector": list(vectors)})
    bundle = build_bundle(tmp_path, source_of(sentences), rows)
    assert recall(bundle, rows) == 1.0

    swapped = faiss.IndexFlatIP(32)
    swapped.add(np.roll(bundle.dense.vectors(np.arange(count)), 1, axis=0))
    faiss.write_index(swapped, str(bundle.folder / "dense.faiss"))

    assert recall(Bundle(bundle.folder, bundle.manifest), rows) < 0.2


def test_recall_counts_vectors_beside_a_text_and_sees_them_with_other_texts(tmp_path: Path) -> None:
    count, random = 120, np.random.default_rng(1)
    sentences = [f"sentence {number}" for number in range(count)]
    vectors = random.standard_normal((3 * count, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = pa.table({"text_hash": [hash_of(sentence) for sentence in sentences] * 3, "vector": list(vectors)})
    bundle = build_bundle(tmp_path, source_of(sentences), rows)
    assert recall(bundle, rows) == 1.0

    numbers = np.roll(bundle.dense.late.numbers, 2)
    write_rows(bundle.folder / "late.arrow", pa.table({"number": numbers}))

    assert recall(Bundle(bundle.folder, bundle.manifest), rows) < 0.9


def test_a_text_ranks_as_its_nearest_vector_does(tmp_path: Path) -> None:
    asked = encoded("what is sorted")
    beside = pa.table({"text_hash": [hash_of(SENTENCES[0])], "vector": asked.tolist()})
    own = vectors_for(SENTENCES).select(["text_hash", "vector"])
    rows = pa.concat_tables([own, beside.cast(own.schema)])
    bundle = build_bundle(tmp_path, source_of(), rows)

    assert round_trip_ranks(bundle, asked, [hash_of(SENTENCES[0])], depth=3) == [1]
    assert round_trip_ranks(bundle, asked, [hash_of(SENTENCES[1])], depth=6)[0] > 1


def test_a_query_that_is_its_own_text_ranks_first(bundle: Bundle) -> None:
    queries = encoded(*(own_text(sentence) for sentence in SENTENCES))

    assert round_trip_ranks(bundle, queries, [hash_of(sentence) for sentence in SENTENCES], depth=1) == [1] * 6


def test_a_query_that_is_another_text_is_dropped_at_one_and_found_deeper(bundle: Bundle) -> None:
    queries = encoded(own_text(SENTENCES[1]))

    assert round_trip_ranks(bundle, queries, [hash_of(SENTENCES[0])], depth=1) == [0]
    assert round_trip_ranks(bundle, queries, [hash_of(SENTENCES[0])], depth=6)[0] > 1


def test_a_text_that_is_not_in_the_index_has_no_rank(bundle: Bundle) -> None:
    assert round_trip_ranks(bundle, encoded("heap"), ["gone"], depth=6) == [0]


def test_no_queries_have_no_ranks(bundle: Bundle) -> None:
    assert round_trip_ranks(bundle, encoded(), [], depth=1) == []


def test_texts_with_equal_scores_share_a_rank(tmp_path: Path) -> None:
    sentences = ["heap queue", "queue heap", "sockets"]
    bundle = built(tmp_path, sentences)

    ranks = round_trip_ranks(bundle, encoded(*["heap queue"] * 3), [hash_of(text) for text in sentences], depth=3)

    assert ranks == [1, 1, 3]


def test_passages_with_the_same_text_count_as_one(tmp_path: Path) -> None:
    sentences = ["heap queue", "heap queue", "heap queue", "sockets"]
    bundle = built(tmp_path, sentences)

    assert round_trip_ranks(bundle, encoded("heap queue"), [hash_of("sockets")], depth=2) == [2]


@given(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=6), st.integers(1, 5))
@settings(deadline=None)
def test_what_is_kept_at_a_depth_is_kept_deeper(bundle: Bundle, sentences: list[str], depth: int) -> None:
    queries = encoded(*sentences)
    hashes = [hash_of(SENTENCES[0])] * len(sentences)

    shallow, deep = (round_trip_ranks(bundle, queries, hashes, reach) for reach in (depth, depth + 1))

    assert all(found in (0, wanted) for found, wanted in zip(shallow, deep, strict=True))
