"""Search over a published index, with the fake encoder."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from models.fake import FakeEncoder, FakeSparseEncoder
from models.sparse_vector import inner_product
from schemas.chunks import CHUNKS
from schemas.errors import BundleError, NightjarError, UnknownName
from serving.fusion import Fusion
from serving.search import Index, open_index
from tests.bundles import HEADINGS, SENTENCES, RecordingEncoder, features_for, published

FEEDBACK = {
    SENTENCES[0]: "insertion point, sorted list",
    SENTENCES[1]: "priority queue",
    SENTENCES[3]: "lazy evaluation, sockets bytes machines",
}


def words(text: str) -> int:
    return len(text.split())


def opened(root: Path, encoder: FakeEncoder | None = None) -> Index:
    return open_index(root, lambda: encoder or FakeEncoder(), words)


def refuse_to_load() -> FakeEncoder:
    raise AssertionError("the encoder was loaded")


def test_dense_search_ranks_by_inner_product(tmp_path: Path) -> None:
    bundle = published(tmp_path)
    query = "heap smallest item"

    hits = opened(tmp_path).search(query, k=3)

    vectors = bundle.dense.vectors(np.arange(len(SENTENCES)))
    scores = sorted((vectors @ FakeEncoder().encode([query]).vectors[0]).tolist(), reverse=True)
    assert [hit.score for hit in hits] == pytest.approx(scores[:3], abs=1e-6)
    assert (hits[0].text, hits[0].rank) == (SENTENCES[1], 1)


def test_a_hit_says_where_it_is_from(tmp_path: Path) -> None:
    bundle = published(tmp_path)

    (hit,) = opened(tmp_path).search(SENTENCES[2], k=1)

    assert (hit.title, hit.url) == (HEADINGS[0], "http://docs.test/2.html")
    assert (hit.heading_path, hit.index_id) == (tuple(HEADINGS), bundle.manifest.index_id)
    assert (hit.licence, hit.ds) == (CHUNKS.example["licence"], str(CHUNKS.example["ds"]))


def test_lexical_search_needs_no_encoder_and_leaves_out_what_shares_no_term(tmp_path: Path) -> None:
    published(tmp_path)
    index = open_index(tmp_path, refuse_to_load, words)

    hits = index.search("sorting lists", mode="lexical")

    assert [hit.text for hit in hits] == [SENTENCES[0]]
    assert index.search("xylophone", mode="lexical") == []
    assert index.search("the of and", mode="lexical") == []


def test_hybrid_search_fuses_both_rankings(tmp_path: Path) -> None:
    published(tmp_path)
    index = opened(tmp_path)
    query = "locks for threads"

    hits = index.search(query, k=6, mode="hybrid")

    ranks: dict[str, float] = {}
    for mode in ("dense", "lexical"):
        for hit in index.search(query, k=6, mode=mode):
            ranks[hit.chunk_id] = ranks.get(hit.chunk_id, 0) + 1 / (60 + hit.rank)
    assert {hit.chunk_id: hit.score for hit in hits} == pytest.approx(ranks)
    assert hits[0].text == SENTENCES[4]


def test_min_max_weighs_the_parts(tmp_path: Path) -> None:
    published(tmp_path)
    index = opened(tmp_path)
    query = "locks for threads"

    alone = Fusion(("dense", "lexical"), "min-max", (0, 1))

    (lexical,) = index.search(query, k=6, mode="lexical")
    assert lexical.text == SENTENCES[4]
    scores = {hit.text: hit.score for hit in index.search(query, k=6, mode="hybrid", fusion=alone)}
    assert scores == dict.fromkeys(SENTENCES, 0.0)  # one result has no spread to be scaled by
    dense = Fusion(("dense", "lexical"), "min-max", (1, 0))
    first, *_, last = index.search(query, k=6, mode="hybrid", fusion=dense)
    assert (first.text, first.score, last.score) == (SENTENCES[4], 1.0, 0.0)


def test_sparse_search_asks_the_sparse_index_with_the_sparse_encoder(tmp_path: Path) -> None:
    bundle = published(tmp_path, sparse=True)
    index = open_index(tmp_path, FakeEncoder, words, open_sparse_encoder=FakeSparseEncoder)
    assert index.modes == ("dense", "lexical", "sparse", "hybrid")

    hits = index.search("the smallest item in a heap", k=2, mode="sparse")

    query, *texts = FakeSparseEncoder().encode(["the smallest item in a heap", *SENTENCES]).vectors
    assert hits[0].text == SENTENCES[1]
    assert hits[0].score == inner_product(query, texts[1])
    assert bundle.manifest.sparse_encoder_id == FakeSparseEncoder().encoder_id
    fused = index.search("the smallest item", k=6, mode="hybrid", fusion=Fusion(("sparse", "dense")))
    assert {hit.number for hit in fused} == set(range(6))
    with pytest.raises(NightjarError, match="sparse search never does"):
        index.search("b", mode="sparse", prf="keywords")


def test_a_sparse_encoder_that_is_not_the_index_s_is_refused(tmp_path: Path) -> None:
    published(tmp_path, sparse=True)

    class Other(FakeSparseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.encoder_id = "other"

    with pytest.raises(BundleError, match=r"was built with sparse encoder \w+, not other"):
        open_index(tmp_path, FakeEncoder, words, open_sparse_encoder=Other).search("heap", mode="sparse")


def test_an_index_without_sparse_vectors_says_so(tmp_path: Path) -> None:
    published(tmp_path)

    with pytest.raises(NightjarError, match="has no learned sparse vectors"):
        opened(tmp_path).search("heap", mode="sparse")


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
def test_passages_with_the_same_text_are_shown_once(tmp_path: Path, mode: str) -> None:
    published(tmp_path, [*SENTENCES, SENTENCES[0], SENTENCES[0]])

    texts = [hit.text for hit in opened(tmp_path).search("sorted order of a list", k=20, mode=mode)]

    assert len(texts) == len(set(texts))
    assert texts[0] == SENTENCES[0]


def test_unknown_names_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    published(tmp_path, features=features_for(FEEDBACK))
    index = opened(tmp_path)

    with pytest.raises(UnknownName, match=r"mode 'fuzzy'. Known: dense, hybrid, lexical, sparse"):
        index.search("heap", mode="fuzzy")
    with pytest.raises(UnknownName, match=r"feature 'essay'. Known: keywords"):
        index.search("heap", prf="essay")
    with pytest.raises(NightjarError, match="lexical search never does"):
        index.search("heap", mode="lexical", prf="keywords")


def test_nothing_published_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nothing is published yet.*nightjar nightly CORPUS"):
        opened(tmp_path)


def test_an_encoder_that_is_not_the_indexs_is_refused(tmp_path: Path) -> None:
    published(tmp_path)
    encoder = FakeEncoder()
    encoder.encoder_id = "another"

    with pytest.raises(BundleError, match="not another"):
        opened(tmp_path, encoder).search("heap")


def test_an_open_index_answers_from_its_version_whatever_is_published(tmp_path: Path) -> None:
    first = published(tmp_path)
    index = opened(tmp_path)
    second = published(tmp_path, SENTENCES[:2])

    assert {hit.index_id for hit in index.search("heap")} == {first.manifest.index_id}
    assert {hit.index_id for hit in opened(tmp_path).search("heap")} == {second.manifest.index_id}


def test_depth_zero_is_exactly_the_plain_query(tmp_path: Path) -> None:
    published(tmp_path, features=features_for(FEEDBACK))
    index = opened(tmp_path)

    for mode in ("dense", "hybrid"):
        assert index.search("sorted list", mode=mode, prf="keywords", depth=0) == index.search("sorted list", mode=mode)


def test_the_second_query_holds_the_features_of_the_first_results_in_order(tmp_path: Path) -> None:
    published(tmp_path, features=features_for(FEEDBACK))
    encoder = RecordingEncoder()
    index = opened(tmp_path, encoder)
    query = "sorted smallest item list"
    first = index.search(query, k=6)

    index.search(query, prf="keywords", depth=4)

    said = [f"keywords for top-{hit.rank} passage: {FEEDBACK[hit.text]}" for hit in first[:4] if hit.text in FEEDBACK]
    assert said
    assert encoder.texts[-1] == "\n".join([query, *said])


def test_without_any_feature_the_answer_is_the_first_one(tmp_path: Path) -> None:
    published(tmp_path, features=features_for({SENTENCES[5]: "network"}))
    encoder = RecordingEncoder()
    index = opened(tmp_path, encoder)
    plain = index.search("sorted list", k=3)

    assert index.search("sorted list", k=3, prf="keywords", depth=1) == plain
    assert set(encoder.texts) == {"sorted list"}


def test_feedback_changes_no_file_of_the_index(tmp_path: Path) -> None:
    bundle = published(tmp_path, features=features_for(FEEDBACK))
    before = {path: path.read_bytes() for path in bundle.folder.rglob("*") if path.is_file()}

    opened(tmp_path).search("sorted list", mode="hybrid", prf="keywords", depth=6)

    assert {path: path.read_bytes() for path in bundle.folder.rglob("*") if path.is_file()} == before


def test_a_feature_that_two_recipes_wrote_is_asked_for_by_recipe(tmp_path: Path) -> None:
    small, large = (features_for({SENTENCES[0]: name}, recipe_id=name) for name in ("small", "large"))
    published(tmp_path, features=pa.concat_tables([small, large]))
    encoder = RecordingEncoder()
    index = opened(tmp_path, encoder)

    index.search(SENTENCES[0], prf="keywords@large", depth=1)

    assert index.features == ["keywords@large", "keywords@small"]
    assert encoder.texts[-1].endswith("\nkeywords for top-1 passage: large")
    with pytest.raises(UnknownName, match="Known: keywords@large, keywords@small"):
        index.search("heap", prf="keywords")
