"""Columns that every table written by a language model ends with."""

from datetime import UTC, datetime

import pyarrow as pa

from schemas.table import TIMESTAMP, column

GENERATION_COLUMNS = (
    column("model_id", pa.string(), "fingerprint of the weights that wrote it"),
    column("prompt_tokens", pa.int32(), "tokens of the prompt"),
    column("output_tokens", pa.int32(), "tokens that the model wrote"),
    column("created_at", TIMESTAMP, "when it was written"),
    column("run_id", pa.string(), "run that wrote the row"),
)

GENERATION_EXAMPLE = {
    "model_id": "c0ffee254729296a45a3885639ac7e10",
    "prompt_tokens": 231,
    "output_tokens": 24,
    "created_at": datetime(2026, 11, 23, 2, 3, 1, tzinfo=UTC),
    "run_id": "20261123T020000-3f9a",
}
