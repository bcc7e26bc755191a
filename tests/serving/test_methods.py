"""Methods that PromptPRF is compared with, over a small published index."""

from pathlib import Path

import numpy as np
import pytest

from models.fake import FakeEncoder
from serving.experiment import Configuration, Experiment, StoredFeature
from serving.lexical_feedback import feature_expansion, relevance_model
from serving.methods import BY_DEPTH, PLAIN, rankings
from tests.bundles import SENTENCES, published

QUERIES = [" ".join(SENTENCES[0].split()[:3]), SENTENCES[2]]


@pytest.fixture
def made(tmp_path: Path) -> Experiment:
    return Experiment(
        published(tmp_path), FakeEncoder, lambda text: len(text.split()), QUERIES, results=4, deepest=len(SENTENCES)
    )


def test_vector_feedback_ranks_as_the_formula_says(made: Experiment) -> None:
    stored = made.bundle.dense.vectors(np.arange(made.bundle.dense.size))
    for method, query_share, passages_share in (("average", 1 / 4, 3 / 4), ("rocchio", 0.4, 0.6)):
        found = rankings(made, Configuration(method, depth=3))
        for vector, first, ranking in zip(made.query_vectors, made.first_pass, found, strict=True):
            mean = np.mean([stored[number] for number, _ in first[:3]], axis=0)
            scores = stored @ (query_share * vector + passages_share * mean)
            assert [number for number, _ in ranking] == np.argsort(-scores, kind="stable")[:4].tolist()
            np.testing.assert_allclose([score for _, score in ranking], np.sort(scores)[::-1][:4], rtol=1e-5)


def test_rm3_and_feature_terms_search_with_the_terms_of_bm25s_first_passages(made: Experiment) -> None:
    lexical, stored = made.bundle.lexical, made.bundle.stored
    hashes = stored.text_hashes.to_pylist()
    written = StoredFeature("keywords", "recipe", "model", {key: f"feature {key[:4]}" for key in hashes})
    rm3 = rankings(made, Configuration("rm3", depth=2))
    terms = rankings(made, Configuration("feature-terms", written, 2))
    for query, first, by_rm3, by_terms in zip(QUERIES, made.lexical_first_pass, rm3, terms, strict=True):
        asked, top = lexical.terms(query), first[:2]
        texts = stored.passages([number for number, _ in top])
        passages = [lexical.terms(" ".join([*text["heading_path"], text["text"]])) for text in texts]
        expected = relevance_model(asked, passages, [score for _, score in top])
        assert by_rm3 == made.weighted([expected])[0]
        features = [lexical.terms(written.texts[hashes[number]]) for number, _ in top]
        assert by_terms == made.weighted([feature_expansion(asked, features)])[0]


@pytest.mark.parametrize("method", [*PLAIN, *BY_DEPTH])
def test_a_method_ranks_every_query(made: Experiment, method: str) -> None:
    found = rankings(made, Configuration(method, depth=3))
    assert len(found) == len(QUERIES)
    assert all(0 < len(ranking) <= made.results for ranking in found)
