"""Rankings: what an experiment's configurations retrieved."""

import pyarrow as pa

from schemas.table import Table, column, none_where

RANKINGS = Table(
    name="rankings",
    comment="One passage in the ranked list of one judged query under one configuration of an experiment.",
    columns=(
        column("configuration_id", pa.string(), "fingerprint of index, encoder, queries, judgments, method, features"),
        column("index_id", pa.string(), "index version that was searched"),
        column("query_id", pa.string(), "the query's id in its collection"),
        column("rank", pa.int32(), "position in the list, from 1"),
        column("chunk_id", pa.string(), "passage that was retrieved"),
        column("url", pa.string(), "URL of the passage: the prefix, then its id in the collection"),
        column("score", pa.float64(), "inner product or BM25; comparable within one query only"),
        column("run_id", pa.string(), "run that wrote the row"),
    ),
    key=("configuration_id", "query_id", "rank"),
    expectations=(none_where("rank_positive", "rank < 1", "ranks start at 1"),),
    example={
        "configuration_id": "b6d767d2f8ed5d21a44b0e5886680cb9",
        "index_id": "1f0e3dad99908345f7439f8ffabdffc4",
        "query_id": "PLAIN-2",
        "rank": 1,
        "chunk_id": "5e884898da28047151d0e56f8dc62927",
        "url": "passage:MED-10",
        "score": 0.71,
        "run_id": "20261123T020000-3f9a",
    },
)
