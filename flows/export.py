"""Stored pages as a WARC file."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import functions as F

from schemas.errors import NightjarError
from schemas.pages import PAGES
from tasks.crawling.warc_writing import write_warc
from warehouse.tables import Warehouse

EXPORTED = pa.schema(
    [
        PAGES.schema.field(name)
        for name in ("url", "fetched_at", "content_type", "body", "etag", "last_modified", "robots_tag")
    ]
)
ROWS_AT_ONCE = 16


def export_pages(warehouse: Warehouse, file: Path, ds: date | None) -> int:
    """Write every stored body, or those of one logical date, with the URL and time it was fetched at.

    The file appears when it is complete. Returns how many pages are in it.

    Raises:
        NightjarError: the file cannot be written.
    """
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        with unfinished.open("wb") as stream:
            written = write_warc(stream, _pages(warehouse, ds), compressed=file.suffix == ".gz")
        unfinished.replace(file)
    except OSError as error:
        raise NightjarError(
            f"cannot be written: {error.strerror}", where=str(file), remedy="Name a file in a folder you can write to"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return written


def _pages(warehouse: Warehouse, ds: date | None) -> Iterator[dict[str, Any]]:
    pages = warehouse.read(PAGES).where("outcome = 'ok'")
    chosen = pages.where(F.col("ds") == F.lit(ds)) if ds else pages
    for batch in warehouse.stream(chosen.orderBy("ds", "url"), EXPORTED, ROWS_AT_ONCE):
        yield from batch.to_pylist()
