"""What is encoded of a passage: its text, and what was written about it.

A passage is then also found by words that it does not say. doc2query (Nogueira et al. 2019, arXiv 1904.08375) appends
synthetic queries to it. Only kept ones are appended, those that came through the round-trip filter: a query that its
passage does not answer does harm (doc2query--, arXiv 2301.03266).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from models.opening import language_model_id
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus
from schemas.errors import CorpusError
from schemas.features import FEATURES
from schemas.hashing import fingerprint, normalise
from schemas.passage import passage_text
from schemas.synthetic_queries import SYNTHETIC_QUERIES
from schemas.vectors import vectors_id
from tasks.orders import orders
from tasks.recipes import load_recipe

TEMPLATE_VERSION = 1
"""Raised by every change of `encoded_text` that can change a text."""

TEXTS = tuple(CHUNKS.schema.field(name) for name in ("text_hash", "heading_path", "text", "tokens"))
_PART = pa.struct([("recipe_id", pa.string()), ("sample", pa.int32()), ("text", pa.string())])
WITH_PARTS = (pa.field("appended", pa.list_(_PART)), pa.field("input_hash", pa.string()))
"""What was written about a text, and the digest of it: columns that sources have where something is appended."""


def encoded_text(
    heading_path: Sequence[str], text: str, features: Mapping[str, str], queries: Sequence[str] = ()
) -> str:
    """Heading path on one line, the text, a line for each feature under its name, a line for each query.

    What an encoder's window has no room for is cut, so the passage itself comes first.

    >>> print(encoded_text(["Owls"], "They hunt.", {"keywords": "owl, hunting"}, ["what do owls do"]))
    Owls
    They hunt.
    keywords: owl, hunting
    what do owls do
    """
    said = (f"{name}: {normalise(feature)}" for name, feature in features.items())
    return "\n".join([passage_text(heading_path, text), *said, *map(normalise, queries)])


@dataclass(frozen=True)
class Composition:
    """What a corpus encodes of its passages.

    Attributes:
        headings: the heading path stands before the text.
        features: names and recipe_ids of the features that are appended, in their order.
        queries: recipe_id of the queries that are appended; empty for none.
        late: recipe_ids of what is encoded by itself (`tasks.late`).
    """

    headings: bool = True
    features: tuple[tuple[str, str], ...] = ()
    queries: str = ""
    late: tuple[str, ...] = ()

    @property
    def recipe_ids(self) -> tuple[str, ...]:
        """Recipes whose rows are appended: none where a text is encoded once and for all."""
        features = tuple(recipe_id for _, recipe_id in self.features)
        return (*features, self.queries) if self.queries else features

    @property
    def composition_id(self) -> str:
        """Fingerprint of what makes a text of a passage; empty for the plain one. What is late makes other texts."""
        if self.headings and not self.recipe_ids:
            return ""
        features = [recipe_id for _, recipe_id in self.features]
        return fingerprint([TEMPLATE_VERSION, self.headings, features, self.queries])

    def vectors_id(self, encoder_id: str) -> str:
        """`encoder_id` of the vectors that an encoder makes of these texts."""
        return vectors_id(encoder_id, self.composition_id)

    @property
    def sources(self) -> pa.Schema:
        """Columns that `texts_of` reads."""
        return pa.schema([*TEXTS, *WITH_PARTS] if self.recipe_ids else TEXTS)

    def texts_of(self, sources: pa.Table) -> list[str]:
        """What an encoder reads of each source."""
        return [self._text_of(row) for row in sources.to_pylist()]

    def _text_of(self, row: Mapping[str, Any]) -> str:
        written: dict[str, list[str]] = {}
        for part in sorted(row.get("appended") or (), key=lambda part: part["sample"]):
            written.setdefault(part["recipe_id"], []).append(part["text"])
        features = {name: written[recipe_id][0] for name, recipe_id in self.features if recipe_id in written}
        headings = row["heading_path"] if self.headings else ()
        return encoded_text(headings, row["text"], features, written.get(self.queries, ()))


PLAIN = Composition()


def composition_of(corpus: Corpus) -> Composition:
    """What the corpus file says under [encode], with the recipes as its language model runs them.

    Raises:
        CorpusError: a recipe writes into another table.
        SetupError: there is no such language model.
    """
    asked = corpus.encode
    if not asked.recipes:
        return Composition(asked.headings)
    check_encode(corpus)
    model_id = language_model_id(corpus.language_model)
    named = [recipe for recipe in corpus.recipes if recipe.name in asked.recipes]
    found = {order.recipe.name: order.recipe_id for order in orders(corpus, named, model_id)}
    features = tuple((name, found[name]) for name in asked.features)
    late = tuple(found[name] for name in asked.late)
    return Composition(asked.headings, features, found.get(asked.queries, ""), late)


def check_encode(corpus: Corpus) -> None:
    """See to it that the recipes that [encode] names write what is encoded of them.

    Raises:
        CorpusError: one writes into another table, or its file says something that does not fit.
        UnknownName: there is no such recipe.
    """
    asked = corpus.encode
    wanted = [
        ("features", asked.features, [FEATURES.name]),
        ("queries", [asked.queries] if asked.queries else [], [SYNTHETIC_QUERIES.name]),
        ("late", asked.late, [FEATURES.name, SYNTHETIC_QUERIES.name]),
    ]
    for key, names, tables in wanted:
        for name in names:
            written = load_recipe(name, corpus.recipe_folders).table
            if written not in tables:
                raise CorpusError(
                    f"encode.{key} names {name!r}, which writes into table {written}",
                    where=corpus.name,
                    remedy=f"Name a recipe of table {' or '.join(tables)}",
                )
