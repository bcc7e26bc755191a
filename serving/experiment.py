"""Experiments over one index version: all queries at once, under one configuration after another.

Nothing here opens a language model: feedback is read from what was stored.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.encoder import Encoder
from schemas.hashing import fingerprint
from serving.prf import compose
from serving.search import WINDOW, Scored
from warehouse.bundle import Bundle
from warehouse.segments import Found

CODE_VERSION = 3
"""Raised by every change that can change a ranking or what is measured of it."""


@dataclass(frozen=True)
class StoredFeature:
    """What one recipe wrote about the texts of an index.

    Attributes:
        feature: its name, which the labels of composed queries say.
        model_id: language model that wrote it.
        texts: feature by text_hash.
    """

    feature: str
    recipe_id: str
    model_id: str
    texts: Mapping[str, str]

    @cached_property
    def content(self) -> str:
        """Fingerprint of everything written."""
        return fingerprint(dict(self.texts))


@dataclass(frozen=True)
class Configuration:
    """One row of an experiment's table.

    Attributes:
        method: name of one of `serving.methods`.
        written: feature that gives feedback.
        depth: passages of the first pass that give feedback.
        positional: the second query tells the rank of each passage.
    """

    method: str
    written: StoredFeature | None = None
    depth: int | None = None
    positional: bool | None = None

    @property
    def described(self) -> dict[str, str | int | bool | None]:
        """The columns of `metrics` that name it."""
        written = self.written
        return {
            "method": self.method,
            "feature": written.feature if written else None,
            "recipe_id": written.recipe_id if written else None,
            "model_id": written.model_id if written else None,
            "depth": self.depth,
            "positional": self.positional,
        }

    def configuration_id(self, experiment: "Experiment", judged_id: str) -> str:
        """Fingerprint of everything that its rankings and their measures follow from."""
        content = {
            **self.described,
            "code": CODE_VERSION,
            "content": self.written.content if self.written else None,
            "index_id": experiment.bundle.manifest.index_id,
            "encoder_id": experiment.bundle.manifest.encoder_id,
            "judged_id": judged_id,
            "results": experiment.results,
            "searched": experiment.searched,
            "window": experiment.window,
        }
        return fingerprint(content)


class Experiment:
    """Queries against one index version.

    Args:
        queries: their texts.
        results: length of a ranking.
        deepest: most passages of the first pass that give feedback.
        window: most tokens of a composed query.

    Raises:
        BundleError: the encoder is not the index's.
    """

    def __init__(
        self,
        bundle: Bundle,
        open_encoder: Callable[[], Encoder],
        count_tokens: Callable[[str], int],
        queries: Sequence[str],
        *,
        results: int,
        deepest: int,
        window: int = WINDOW,
    ) -> None:
        self.bundle = bundle
        self.queries = list(queries)
        self.results = results
        self.deepest = deepest
        self.window = window
        self._open_encoder = open_encoder
        self._count_tokens = count_tokens

    def composed(self, query: str, found: Scored, configuration: Configuration) -> str:
        """The second query: the query and what was written about the first `depth` texts, in the order of ranks."""
        if configuration.written is None or configuration.positional is None:
            raise ValueError("PromptPRF needs a feature, and whether labels tell ranks")
        return compose(
            query,
            self.feedback(found, configuration),
            configuration.written.feature,
            positional=configuration.positional,
            budget=self.window,
            count_tokens=self._count_tokens,
        ).text

    def feedback(self, found: Scored, configuration: Configuration) -> list[str]:
        """What was written about the first `depth` texts, in the order of ranks; empty for one without it."""
        if configuration.written is None:
            raise ValueError("feedback needs a feature")
        hashes, texts = self.bundle.stored.text_hashes, configuration.written.texts
        return [texts.get(hashes[number].as_py(), "") for number, _ in found[: configuration.depth]]

    @cached_property
    def query_vectors(self) -> NDArray[np.float32]:
        """Vectors of the plain queries, in their order."""
        return self._encoded(self.queries)

    @cached_property
    def first_pass(self) -> list[Scored]:
        """Rankings of the plain queries, deep enough for results and feedback."""
        return self._searched(self.query_vectors)

    def dense(self, texts: Sequence[str]) -> list[Scored]:
        """Rankings by inner product with the vectors of these texts."""
        return self.nearest(self._encoded(texts))

    def nearest(self, vectors: NDArray[np.float32]) -> list[Scored]:
        """Rankings by inner product with vectors, one for every query."""
        return [found[: self.results] for found in self._searched(vectors)]

    def lexical(self, texts: Sequence[str]) -> list[Scored]:
        """Rankings by BM25."""
        return [_scored(self.bundle.lexical.search(text, self.results), 0) for text in texts]

    def weighted(self, queries: Sequence[Mapping[str, float]]) -> list[Scored]:
        """Rankings by BM25 of weighted terms."""
        return [_scored(self.bundle.lexical.search_terms(each, self.results), 0) for each in queries]

    @cached_property
    def lexical_first_pass(self) -> list[Scored]:
        """Rankings of the plain queries by BM25, deep enough for feedback."""
        return [_scored(self.bundle.lexical.search(text, self.searched), 0) for text in self.queries]

    @property
    def searched(self) -> int:
        """Texts that every dense search asks for: of equal scores FAISS keeps others when it is asked for fewer."""
        return max(self.results, self.deepest)

    def _searched(self, vectors: NDArray[np.float32]) -> list[Scored]:
        found = self.bundle.dense.search(vectors, self.searched)
        return [_scored(found, row) for row in range(len(vectors))]

    def _encoded(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._encoder.encode_queries(texts).vectors

    @cached_property
    def _encoder(self) -> Encoder:
        encoder = self._open_encoder()
        self.bundle.refuse_other_encoder(encoder.encoder_id)
        return encoder


def _scored(found: Found, row: int) -> Scored:
    return list(zip(found.numbers[row].tolist(), found.scores[row].tolist(), strict=True))
