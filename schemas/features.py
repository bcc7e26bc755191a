"""PromptPRF features: what a language model says about a passage, whatever the question."""

import pyarrow as pa

from schemas.generation import GENERATION_COLUMNS, GENERATION_EXAMPLE
from schemas.table import Table, column, none_where

FEATURES = Table(
    name="features",
    comment="One PromptPRF feature (arXiv 2503.14887) of one text, written offline and independent of any query.",
    columns=(
        column("text_hash", pa.string(), "text it describes (chunks.text_hash)"),
        column("feature", pa.string(), "name of the feature, such as keywords or summary"),
        column("recipe_id", pa.string(), "fingerprint of prompt, schema, decoding, model and parser"),
        column("text", pa.string(), "the feature as one text, as PRF queries quote it"),
        column("items", pa.list_(pa.string()), "the feature's items where it is a list", null=True),
        *GENERATION_COLUMNS,
    ),
    key=("text_hash", "feature", "recipe_id"),
    partitioned_by=("recipe_id",),
    expectations=(none_where("text_not_empty", "length(trim(text)) = 0", "a feature says something"),),
    example={
        "text_hash": "2cf24dba5fb0a30e26e83b2ac5b9e29e",
        "feature": "keywords",
        "recipe_id": "7c211433f02071597741e6ff5a8ea34b",
        "text": "bisection, sorted list, insertion point",
        "items": ["bisection", "sorted list", "insertion point"],
        **GENERATION_EXAMPLE,
    },
)
