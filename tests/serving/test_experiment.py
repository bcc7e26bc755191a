"""PromptPRF's grid over one index version, with the fake encoder."""

from pathlib import Path

import pytest

from models.fake import FakeEncoder
from serving.experiment import Configuration, Experiment, StoredFeature
from serving.methods import BY_DEPTH, NO_FEEDBACK, PLAIN, PROMPT_PRF, grid, rankings
from serving.search import open_index
from tests.bundles import SENTENCES, RecordingEncoder, features_for, hash_of, published
from warehouse.bundle import Bundle

QUERIES = ["a sorted list", "bytes between threads"]
KEYWORDS = {sentence: f"keyword{number} bytes" for number, sentence in enumerate(SENTENCES)}
WRITTEN = StoredFeature("keywords", "recipe", "model", {hash_of(text): said for text, said in KEYWORDS.items()})


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return published(tmp_path, features=features_for(KEYWORDS))


def experiment(bundle: Bundle, encoder: FakeEncoder | None = None, window: int = 256) -> Experiment:
    return Experiment(
        bundle,
        lambda: encoder or FakeEncoder(),
        lambda text: len(text.split()),
        QUERIES,
        results=4,
        deepest=6,
        window=window,
    )


def test_depth_0_is_the_plain_query_and_the_baseline_without_feedback(bundle: Bundle) -> None:
    made = experiment(bundle)
    depth_0 = rankings(made, Configuration(PROMPT_PRF, WRITTEN, 0, True))
    assert depth_0 == rankings(made, Configuration(NO_FEEDBACK))
    assert [len(ranking) for ranking in depth_0] == [4, 4]


def test_depth_k_takes_the_features_of_the_first_k_in_their_order(bundle: Bundle) -> None:
    made = experiment(bundle)
    hashes = bundle.stored.text_hashes.to_pylist()
    for depth in (1, 3, 6):
        for query, found in zip(QUERIES, made.first_pass, strict=True):
            first = [WRITTEN.texts[hashes[number]] for number, _ in found[:depth]]
            labels = [f"keywords for top-{rank} passage: {text}" for rank, text in enumerate(first, start=1)]
            assert made.composed(query, found, Configuration(PROMPT_PRF, WRITTEN, depth, True)) == "\n".join(
                [query, *labels]
            )


def test_the_grid_gives_what_search_gives_for_one_query(bundle: Bundle, tmp_path: Path) -> None:
    index = open_index(tmp_path, FakeEncoder, lambda text: len(text.split()))
    for positional in (True, False):
        found = rankings(experiment(bundle), Configuration(PROMPT_PRF, WRITTEN, 3, positional))
        for query, ranking in zip(QUERIES, found, strict=True):
            hits = index.search(query, 4, prf="keywords", depth=3, positional=positional)
            passages = bundle.stored.passages([number for number, _ in ranking])
            assert [passage["chunk_id"] for passage in passages] == [hit.chunk_id for hit in hits]


def test_queries_are_encoded_once_and_then_once_for_every_composition(bundle: Bundle) -> None:
    encoder = RecordingEncoder()
    made = experiment(bundle, encoder)
    for configuration in grid([WRITTEN], [0, 1, 3]):
        rankings(made, configuration)
    # The plain queries, then two depths with ranks and without.
    assert encoder.calls == 5
    assert encoder.texts[:2] == QUERIES


def test_texts_without_the_feature_leave_the_query_as_it_is(bundle: Bundle) -> None:
    made = experiment(bundle)
    nothing = StoredFeature("keywords", "recipe", "model", {})
    assert rankings(made, Configuration(PROMPT_PRF, nothing, 3, True)) == rankings(made, Configuration(NO_FEEDBACK))


def test_a_small_window_cuts_feedback_and_never_the_query(bundle: Bundle) -> None:
    made = experiment(bundle, window=9)
    composed = made.composed(QUERIES[0], made.first_pass[0], Configuration(PROMPT_PRF, WRITTEN, 6, True))
    assert composed.startswith(QUERIES[0] + "\n")
    assert len(composed.split()) == 9


def test_the_grid_has_every_method_once_and_no_depth_0() -> None:
    made = grid([WRITTEN, StoredFeature("summary", "other", "model", {})], [0, 1, 3, 3])
    # Two depths: without features, for the terms of two features, and for these with ranks and without.
    assert len(made) == len(PLAIN) + 2 * len(BY_DEPTH) + 2 * 2 + 2 * 2 * 2
    assert [each.method for each in made[: len(PLAIN)]] == list(PLAIN)
    assert all(each.depth for each in made if each.method not in PLAIN)


def test_a_configuration_is_the_same_one_until_something_that_counts_changes(bundle: Bundle) -> None:
    made = experiment(bundle)

    def identity(configuration: Configuration, judged_id: str = "judged") -> str:
        return configuration.configuration_id(made, judged_id)

    other_text = StoredFeature("keywords", "recipe", "model", {**WRITTEN.texts, "more": "text"})
    identities = [
        identity(Configuration(PROMPT_PRF, WRITTEN, 1, True)),
        identity(Configuration(PROMPT_PRF, WRITTEN, 1, False)),
        identity(Configuration(PROMPT_PRF, WRITTEN, 3, True)),
        identity(Configuration(PROMPT_PRF, other_text, 1, True)),
        identity(Configuration(PROMPT_PRF, WRITTEN, 1, True), "other judgments"),
        identity(Configuration(NO_FEEDBACK)),
    ]
    assert len(set(identities)) == len(identities)
    assert identity(Configuration(PROMPT_PRF, WRITTEN, 1, True)) == identities[0]


def test_every_passage_with_a_text_is_found_with_it(tmp_path: Path) -> None:
    bundle = published(tmp_path, sentences=(*SENTENCES, SENTENCES[0]))
    number = bundle.stored.text_hashes.to_pylist().index(hash_of(SENTENCES[0]))
    chunks = bundle.stored.chunks_with(number)
    assert {url for _, url in chunks} == {"http://docs.test/0.html", "http://docs.test/6.html"}
    assert chunks == sorted(chunks)
    assert sum(len(bundle.stored.chunks_with(each)) for each in range(len(SENTENCES))) == len(SENTENCES) + 1
