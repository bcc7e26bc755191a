"""Sparse embeddings: one learned sparse vector of one text."""

import pyarrow as pa

from schemas.table import Table, column, none_where

SPARSE_EMBEDDINGS = Table(
    name="sparse_embeddings",
    comment="One learned sparse vector of one text: what it weighs on each term of an encoder's vocabulary.",
    columns=(
        column("text_hash", pa.string(), "text it represents (chunks.text_hash)"),
        column(
            "encoder_id",
            pa.string(),
            "fingerprint of weights, pooling, prompt and precision; after a hyphen, of what [encode] makes of a text",
        ),
        column("terms", pa.list_(pa.int32()), "vocabulary ids with a weight, ascending"),
        column("weights", pa.list_(pa.float32()), "their weights, above 0, in the order of the terms"),
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
        none_where("a_weight_each", "size(terms) != size(weights)", "every term has one weight"),
        none_where("weights_above_zero", "exists(weights, weight -> weight <= 0)", "weights are above 0"),
        none_where(
            "terms_ascending",
            "exists(sequence(2, greatest(size(terms), 2)), place -> "
            "size(terms) > 1 and element_at(terms, place) <= element_at(terms, place - 1))",
            "terms ascend, each once",
        ),
    ),
    example={
        "text_hash": "2cf24dba5fb0a30e26e83b2ac5b9e29e",
        "encoder_id": "c81e728d9d4c2f636f067f89cc14862c",
        "terms": [2074, 5432],
        "weights": [0.5, 1.25],
        "run_id": "20261123T020000-3f9a",
    },
)
