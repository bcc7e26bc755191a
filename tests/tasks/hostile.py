"""Work that does what broken pages make C parsers do."""

import os
import time
from collections.abc import Callable

import pyarrow as pa

from schemas.errors import ModelError
from schemas.quarantine import Reason
from tasks.outcome import Outcome, Rejection

ROWS = pa.schema([("key", pa.string()), ("words", pa.list_(pa.string())), ("worker", pa.int64())])


def work(greeting: str) -> Callable[[pa.Table], Outcome]:
    """Greets every source, but for those whose key says what happens instead."""

    def greet(sources: pa.Table) -> Outcome:
        keys = sources["key"].to_pylist()
        rows = [{"key": key, "words": [greeting, key], "worker": os.getpid()} for key in keys if suffered(key)]
        rejections = tuple(Rejection(key, Reason.EMPTY_TEXT, "empty") for key in keys if key == "empty")
        return Outcome(pa.Table.from_pylist(rows, schema=ROWS), rejections)

    return greet


def suffered(key: str) -> bool:
    """Whether the source is done; "slow", "abort" and "exit" never come back."""
    if key == "slow":
        time.sleep(60)
    elif key == "abort":
        os.abort()
    elif key == "exit":
        os._exit(3)
    elif key == "large":
        bytearray(1 << 32)  # more than the limit, less than many machines have
    elif key == "refuse":
        raise ModelError("no readable tokenizer")
    elif key == "noise":
        print("what libraries print")
    return key != "empty"
