"""Synthetic queries: questions that a passage answers, written by a language model."""

import pyarrow as pa

from schemas.generation import GENERATION_COLUMNS, GENERATION_EXAMPLE
from schemas.table import Table, column, none_where

SYNTHETIC_QUERIES = Table(
    name="synthetic_queries",
    comment="One query written for one text, and the verdict of the round-trip filter (arXiv 2209.11755).",
    columns=(
        column("text_hash", pa.string(), "text it was written for (chunks.text_hash)"),
        column("recipe_id", pa.string(), "fingerprint of prompt, schema, decoding, model and parser"),
        column("sample", pa.int32(), "number of the sample, from 0"),
        column("query", pa.string(), "the query"),
        column(
            "round_trip_rank",
            pa.int32(),
            "rank of its own text, 0 beyond the depth searched",
            null=True,
        ),
        column("kept", pa.bool_(), "passed the round-trip filter; null until an index was searched", null=True),
        *GENERATION_COLUMNS,
    ),
    key=("text_hash", "recipe_id", "sample"),
    partitioned_by=("recipe_id",),
    expectations=(
        none_where("query_not_empty", "length(trim(query)) = 0", "a query says something"),
        none_where("verdict_has_rank", "kept and coalesce(round_trip_rank, 0) = 0", "a kept query found its text"),
    ),
    example={
        "text_hash": "2cf24dba5fb0a30e26e83b2ac5b9e29e",
        "recipe_id": "8f14e45fceea167a5a36dedd4bea2543",
        "sample": 0,
        "query": "how do I find where to insert into a sorted list",
        "round_trip_rank": 1,
        "kept": True,
        **GENERATION_EXAMPLE,
    },
)
