"""Index versions: what was built, from what, whether it may serve and whether it does."""

from datetime import UTC, date, datetime

import pyarrow as pa

from schemas.table import TIMESTAMP, Expectation, Table, column, none_where

STATES = ("built", "gated", "published", "retired", "rejected")

INDEXES = Table(
    name="indexes",
    comment="One index version: built, gated, published, retired; or rejected by a gate.",
    columns=(
        column("index_id", pa.string(), "fingerprint of everything the bundle was built from"),
        column("ds", pa.date32(), "logical date of the run that built it"),
        column("state", pa.string(), "built, gated, published, retired or rejected"),
        column("path", pa.string(), "folder of the immutable bundle"),
        column("encoder_id", pa.string(), "encoder of its vectors"),
        column("chunks", pa.int64(), "live chunks in it"),
        column("table_versions", pa.map_(pa.string(), pa.int64()), "Delta versions it was built from"),
        column("gates", pa.map_(pa.string(), pa.float64()), "value that each gate measured"),
        column("failed_gates", pa.list_(pa.string()), "gates that did not hold"),
        column("forced", pa.bool_(), "true where --force let it be published without its gates", null=True),
        column("built_at", TIMESTAMP, "when it was built"),
        column("published_at", TIMESTAMP, "when it last went live", null=True),
        column("run_id", pa.string(), "run that wrote the row"),
    ),
    key=("index_id",),
    expectations=(
        none_where("state_known", f"state not in {STATES}", "state is one of the known ones"),
        Expectation("one_live", "count_if(state = 'published')", maximum=1, meaning="at most one version is live"),
    ),
    example={
        "index_id": "e4da3b7fbbce2345d7772b0674a318d5",
        "ds": date(2026, 11, 23),
        "state": "published",
        "path": "data/pydoc/indexes/e4da3b7fbbce2345d7772b0674a318d5",
        "encoder_id": "1679091c5a880faf6fb5e6087eb1b2dc",
        "chunks": 2048,
        "table_versions": [("chunks", 3), ("embeddings", 9)],
        "gates": [("recall_at_10", 1.0)],
        "failed_gates": [],
        "forced": False,
        "built_at": datetime(2026, 11, 23, 2, 6, 0, tzinfo=UTC),
        "published_at": datetime(2026, 11, 23, 2, 6, 3, tzinfo=UTC),
        "run_id": "20261123T020000-3f9a",
    },
)
