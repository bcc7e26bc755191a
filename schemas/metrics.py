"""Metrics: how good an experiment's rankings are, query by query."""

import pyarrow as pa

from schemas.table import Table, column, none_where

METRICS = Table(
    name="metrics",
    comment="One measure of one judged query's ranking under one configuration of an experiment.",
    columns=(
        column("configuration_id", pa.string(), "configuration whose rankings were measured (rankings)"),
        column("index_id", pa.string(), "index version that was searched"),
        column("encoder_id", pa.string(), "encoder of queries and passages"),
        column("method", pa.string(), "promptprf, or the name of a baseline such as none or bm25"),
        column("feature", pa.string(), "feature that gave feedback", null=True),
        column("recipe_id", pa.string(), "recipe that wrote the feature", null=True),
        column("model_id", pa.string(), "language model that wrote the feature", null=True),
        column("depth", pa.int32(), "passages of the first pass that gave feedback", null=True),
        column("positional", pa.bool_(), "the second query told the rank of each passage", null=True),
        column("query_id", pa.string(), "the query's id in its collection"),
        column("measure", pa.string(), "measure as ir-measures names it"),
        column("value", pa.float64(), "its value for this query"),
        column("run_id", pa.string(), "run that wrote the row"),
    ),
    key=("configuration_id", "query_id", "measure"),
    expectations=(none_where("value_is_a_number", "isnan(value)", "every measure has a value"),),
    example={
        "configuration_id": "b6d767d2f8ed5d21a44b0e5886680cb9",
        "index_id": "1f0e3dad99908345f7439f8ffabdffc4",
        "encoder_id": "3c59dc048e8850243be8079a5c74d079",
        "method": "promptprf",
        "feature": "keywords",
        "recipe_id": "7c211433f02071597741e6ff5a8ea34b",
        "model_id": "c0ffee254729296a45a3885639ac7e10",
        "depth": 3,
        "positional": True,
        "query_id": "PLAIN-2",
        "measure": "nDCG@10",
        "value": 0.43,
        "run_id": "20261123T020000-3f9a",
    },
)
