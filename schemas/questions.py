"""Questions: what people ask."""

import pyarrow as pa

from schemas.table import Table, column, none_where

QUESTIONS = Table(
    name="questions",
    comment="One question people ask: from the corpus file, a query log or a test collection.",
    columns=(
        column("question_id", pa.string(), "hash of the normalised question"),
        column("question", pa.string(), "the question as it was asked"),
        column("source", pa.string(), "where it came from, such as corpus"),
        column("live", pa.bool_(), "false once its source no longer has it"),
        column("run_id", pa.string(), "run that wrote the row"),
    ),
    key=("question_id",),
    live="live",
    expectations=(none_where("question_not_empty", "length(trim(question)) = 0", "a question says something"),),
    example={
        "question_id": "6512bd43d9caa6e02c990b0a82652dca",
        "question": "How do I keep a list sorted while inserting?",
        "source": "corpus",
        "live": True,
        "run_id": "20261123T020000-3f9a",
    },
)
