"""GenRead contexts: background documents that a language model writes for a question."""

import pyarrow as pa

from schemas.generation import GENERATION_COLUMNS, GENERATION_EXAMPLE
from schemas.table import Table, column, none_where

CONTEXTS = Table(
    name="contexts",
    comment="One GenRead context (arXiv 2209.10063) of one question.",
    columns=(
        column("question_id", pa.string(), "question it was written for (questions.question_id)"),
        column("recipe_id", pa.string(), "fingerprint of prompt, schema, decoding, model and parser"),
        column("sample", pa.int32(), "number of the sample, from 0"),
        column("context", pa.string(), "the background document, newlines flattened to spaces"),
        *GENERATION_COLUMNS,
    ),
    key=("question_id", "recipe_id", "sample"),
    partitioned_by=("recipe_id",),
    expectations=(none_where("context_not_empty", "length(trim(context)) = 0", "a context says something"),),
    example={
        "question_id": "6512bd43d9caa6e02c990b0a82652dca",
        "recipe_id": "45c48cce2e2d7fbdea1afc51c7c6ad26",
        "sample": 0,
        "context": "The bisect module keeps a list in sorted order without sorting it after each insertion.",
        **GENERATION_EXAMPLE,
    },
)
