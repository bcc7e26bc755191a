"""Embeddings: one dense vector of one text."""

import pyarrow as pa

from schemas.table import Expectation, Table, column, none_where

EMBEDDINGS = Table(
    name="embeddings",
    comment="One dense vector of one text. A narrow table of its own: a merge of metadata never rewrites vectors.",
    columns=(
        column("text_hash", pa.string(), "text it represents: chunks.text_hash, or of what [encode] late encodes"),
        column(
            "encoder_id",
            pa.string(),
            "fingerprint of weights, pooling, prompt and precision; after a hyphen, of what [encode] makes of a text",
        ),
        column("vector", pa.list_(pa.float32()), "unit vector"),
        column(
            "input_hash",
            pa.string(),
            "digest of what was appended to the text; null where [encode] appends nothing",
            null=True,
        ),
        column("run_id", pa.string(), "run that wrote the row"),
    ),
    key=("text_hash", "encoder_id"),
    partitioned_by=("encoder_id",),
    expectations=(
        none_where(
            "unit_length",
            "abs(aggregate(vector, 0d, (total, x) -> total + x * x) - 1d) > 0.001d",
            "every vector has norm 1",
        ),
        Expectation(
            "one_dimension_each",
            "count(distinct encoder_id, size(vector)) - count(distinct encoder_id)",
            maximum=0,
            meaning="vectors of one encoder have one length",
        ),
    ),
    example={
        "text_hash": "2cf24dba5fb0a30e26e83b2ac5b9e29e",
        "encoder_id": "1679091c5a880faf6fb5e6087eb1b2dc",
        "vector": [0.6, 0.8],
        "run_id": "20261123T020000-3f9a",
    },
)
