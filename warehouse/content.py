"""The content of an index version as one number, which can be brought up to date by what changed."""

import json
from collections import Counter
from collections.abc import Iterable

import pyarrow as pa

from schemas.hashing import digest

# As many values as `digest` has.
MODULUS = 1 << 128


def contents(*tables: pa.Table) -> Counter[str]:
    """For each text, the sum of the digests of its rows. A column in which a row has nothing does not count.

    The sum does not depend on the order of the rows, and a row can be taken out of it again.

    Args:
        tables: rows with a `text_hash`; a row counts for its values under their names.
    """
    sums: Counter[str] = Counter()
    for rows in tables:
        for batch in rows.to_batches():
            for row in batch.to_pylist():
                held = {name: value for name, value in row.items() if value is not None}
                sums[row["text_hash"]] += int(digest(json.dumps(held, sort_keys=True, ensure_ascii=False)), 16)
    return sums


def total(sums: Iterable[int]) -> int:
    """The content of texts together: what a version of them has, modulo 2^128."""
    return sum(sums) % MODULUS
