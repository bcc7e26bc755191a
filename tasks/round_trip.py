"""The round-trip stage: a synthetic query is kept if it finds the passage it was written for."""

from collections.abc import Callable

import pyarrow as pa
from pyspark.sql import functions as F

from models.encoder import Encoder
from schemas.chunks import CHUNKS
from schemas.synthetic_queries import SYNTHETIC_QUERIES
from tasks.run import Stage
from warehouse.bundle import Bundle
from warehouse.figures import round_trip_ranks

# Promptagator (arXiv 2209.11755, section 3.2) keeps a query whose own passage comes first.
KEPT_RANK = 1
DEPTH = 10


def judge_queries(stage: Stage, open_bundle: Callable[[], Bundle], open_encoder: Callable[[], Encoder]) -> None:
    """Rank the queries of live texts that have no verdict yet.

    Args:
        open_bundle: the index version to search, opened only when there is a query to judge.
        open_encoder: the index's encoder, loaded only then.
    """
    live = stage.read(CHUNKS).where("live").select("text_hash").distinct()
    queries = stage.read(SYNTHETIC_QUERIES).join(live, "text_hash", "left_semi")
    stage.ledger.rows_in = queries.count()
    rows = stage.run.warehouse.arrow(SYNTHETIC_QUERIES, queries.where(F.col("round_trip_rank").isNull()))
    stage.ledger.skipped = stage.ledger.rows_in - len(rows)
    if not len(rows):
        return
    found = rows.select(["query", "text_hash"]).to_pylist()
    encoded = open_encoder().encode_queries([row["query"] for row in found])
    ranks = round_trip_ranks(open_bundle(), encoded.vectors, [row["text_hash"] for row in found], DEPTH)
    merged = stage.merge(SYNTHETIC_QUERIES, with_verdicts(rows, ranks))
    stage.ledger.rows_out = merged.updated
    stage.ledger.prompt_tokens = encoded.tokens


def with_verdicts(rows: pa.Table, ranks: list[int]) -> pa.Table:
    """The rows with their rank and whether they are kept."""
    kept = [rank == KEPT_RANK for rank in ranks]
    ranked = rows.set_column(rows.column_names.index("round_trip_rank"), "round_trip_rank", pa.array(ranks, pa.int32()))
    return ranked.set_column(ranked.column_names.index("kept"), "kept", pa.array(kept, pa.bool_()))
