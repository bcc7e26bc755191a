"""Query expansion for BM25: weighted terms, from the first results or from what was written about them.

Every function gives weights by term, for `LexicalIndex.search_terms`. Texts come as their terms, in order and with
repetitions, as `LexicalIndex.terms` gives them.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

# Anserini's defaults for RM3.
RELEVANCE_TERMS = 10
QUERY_WEIGHT = 0.5
# A feature text says in few words what a passage says in many: more of its terms are worth having.
FEATURE_TERMS = 20

Weights = dict[str, float]


def plain_query(query: Sequence[str]) -> Weights:
    """How often the query has each of its terms: what BM25 without feedback adds up."""
    return {term: float(count) for term, count in Counter(query).items()}


def relevance_model(
    query: Sequence[str],
    passages: Sequence[Sequence[str]],
    scores: Sequence[float],
    *,
    terms: int = RELEVANCE_TERMS,
    query_weight: float = QUERY_WEIGHT,
) -> Weights:
    """RM3: the query mixed with the terms that are frequent in the first results, the better ones counting more.

    A term weighs the sum over the passages of score x its share of the passage's terms (RM1, Lavrenko and Croft,
    SIGIR 2001, with the BM25 score for the query's likelihood, as Anserini has it); the strongest are scaled to a
    sum of 1 and mixed with the query's, scaled likewise (Abdul-Jaleel et al., TREC 2004). Without passages it is
    exactly the plain query.

    Args:
        passages: terms of the first results.
        scores: of the first results, above 0.
        terms: most terms taken from the passages.
        query_weight: share of the query in the mixture, 0 to 1.

    Raises:
        ValueError: passages and scores differ in number.
    """
    model: dict[str, float] = defaultdict(float)
    for passage, score in zip(passages, scores, strict=True):
        for term, count in Counter(passage).items():
            model[term] += score * count / len(passage)
    return _mixed(query, model, terms, query_weight)


def feature_expansion(
    query: Sequence[str],
    features: Sequence[Sequence[str]],
    *,
    terms: int = FEATURE_TERMS,
    query_weight: float = QUERY_WEIGHT,
) -> Weights:
    """The query mixed with the terms that are frequent in the features of the first results, read as one text.

    This is how generative relevance feedback weighs the terms of its generated texts (Mackie, Chatterjee and Dalton,
    arXiv 2305.07477), with features stored per passage in place of texts written for the query. Without features, or
    with empty ones, it is exactly the plain query.

    Args:
        features: terms of the feature of each first result; empty for one without it.
        terms: most terms taken from the features.
        query_weight: share of the query in the mixture, 0 to 1.
    """
    model = Counter(term for feature in features for term in feature)
    return _mixed(query, model, terms, query_weight)


def _mixed(query: Sequence[str], model: Mapping[str, float], terms: int, query_weight: float) -> Weights:
    strongest = dict(sorted(model.items(), key=lambda weighed: (-weighed[1], weighed[0]))[:terms])
    if not strongest:
        return plain_query(query)
    asked, found = _scaled(plain_query(query)), _scaled(strongest)
    return {
        term: query_weight * asked.get(term, 0.0) + (1 - query_weight) * found.get(term, 0.0)
        for term in [*asked, *(term for term in found if term not in asked)]
    }


def _scaled(weights: Mapping[str, float]) -> Weights:
    total = sum(weights.values())
    return {term: weight / total for term, weight in weights.items()}
