"""What an ablation compares: PromptPRF, and what there is without it, under the names that its tables show.

A name stands for its parameters, too: one with others gets another name.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from schemas.passage import passage_text
from serving.experiment import Configuration, Experiment, StoredFeature
from serving.lexical_feedback import feature_expansion, relevance_model
from serving.search import Scored
from serving.vector_feedback import average_feedback, rocchio_feedback

Method = Callable[[Experiment, Configuration], list[Scored]]
Moved = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]

PROMPT_PRF = "promptprf"
NO_FEEDBACK = "none"


def rankings(experiment: Experiment, configuration: Configuration) -> list[Scored]:
    """Numbers and scores of the texts that each query retrieves, best first.

    Raises:
        KeyError: no method has that name.
    """
    return METHODS[configuration.method](experiment, configuration)


def grid(features: Sequence[StoredFeature], depths: Sequence[int]) -> list[Configuration]:
    """Every method at every depth above 0 and with every feature it takes; PromptPRF with and without ranks.

    Depth 0 is the plain query whatever the method: it is `none` and `bm25`, which are always there.
    """
    deep = sorted({depth for depth in depths if depth})
    return [
        *(Configuration(name) for name in PLAIN),
        *(Configuration(name, depth=depth) for name in BY_DEPTH for depth in deep),
        *(Configuration(name, written, depth) for name in BY_FEATURE for written in features for depth in deep),
        *(
            Configuration(PROMPT_PRF, written, depth, positional)
            for written in features
            for depth in deep
            for positional in (True, False)
        ),
    ]


def _no_feedback(experiment: Experiment, _: Configuration) -> list[Scored]:
    return [found[: experiment.results] for found in experiment.first_pass]


def _bm25(experiment: Experiment, _: Configuration) -> list[Scored]:
    return experiment.lexical(experiment.queries)


def _prompt_prf(experiment: Experiment, configuration: Configuration) -> list[Scored]:
    pairs = zip(experiment.queries, experiment.first_pass, strict=True)
    return experiment.dense([experiment.composed(query, found, configuration) for query, found in pairs])


def _vector_feedback(experiment: Experiment, configuration: Configuration, move: Moved) -> list[Scored]:
    """The query's vector moved towards those of the first passages."""
    moved = [
        move(vector, experiment.bundle.dense.vectors(np.array([number for number, _ in found[: configuration.depth]])))
        for vector, found in zip(experiment.query_vectors, experiment.first_pass, strict=True)
    ]
    return experiment.nearest(np.vstack(moved))


def _rm3(experiment: Experiment, configuration: Configuration) -> list[Scored]:
    lexical, stored = experiment.bundle.lexical, experiment.bundle.stored
    queries = []
    for query, found in zip(experiment.queries, experiment.lexical_first_pass, strict=True):
        first = found[: configuration.depth]
        texts = stored.passages([number for number, _ in first])
        passages = [lexical.terms(passage_text(text["heading_path"], text["text"])) for text in texts]
        queries.append(relevance_model(lexical.terms(query), passages, [score for _, score in first]))
    return experiment.weighted(queries)


def _feature_terms(experiment: Experiment, configuration: Configuration) -> list[Scored]:
    """BM25 with the terms of the features of BM25's own first passages."""
    lexical = experiment.bundle.lexical
    queries = [
        feature_expansion(
            lexical.terms(query), [lexical.terms(text) for text in experiment.feedback(found, configuration)]
        )
        for query, found in zip(experiment.queries, experiment.lexical_first_pass, strict=True)
    ]
    return experiment.weighted(queries)


PLAIN: dict[str, Method] = {NO_FEEDBACK: _no_feedback, "bm25": _bm25}
BY_DEPTH: dict[str, Method] = {
    "average": partial(_vector_feedback, move=average_feedback),
    "rocchio": partial(_vector_feedback, move=rocchio_feedback),
    "rm3": _rm3,
}
BY_FEATURE: dict[str, Method] = {"feature-terms": _feature_terms}
METHODS: dict[str, Method] = {**PLAIN, **BY_DEPTH, **BY_FEATURE, PROMPT_PRF: _prompt_prf}
