"""Where a passage comes from and what became of it, from the page to the index versions that hold it."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from rich.console import Console
from rich.text import Text

from schemas.chunks import CHUNKS
from schemas.corpus import Corpus
from schemas.documents import DOCUMENTS
from schemas.embeddings import EMBEDDINGS
from schemas.errors import UnknownName
from schemas.features import FEATURES
from schemas.indexes import INDEXES
from schemas.pages import PAGES
from schemas.signatures import SIGNATURES
from schemas.sparse_embeddings import SPARSE_EMBEDDINGS
from schemas.synthetic_queries import SYNTHETIC_QUERIES
from warehouse.registry import manifests
from warehouse.tables import Warehouse

# What every row of the lineage says; a part that has no such thing leaves it empty.
FIELDS = {
    "part": "string",
    "id": "string",
    "text": "string",
    "made_by": "string",
    "model_id": "string",
    "prompt_tokens": "int",
    "output_tokens": "int",
    "at": "timestamp",
    "run_id": "string",
    "directives": "string",
    "licence": "string",
}
LONGEST_TEXT = 80


def explain(warehouse: Warehouse, corpus: Corpus, chunk_id: str) -> list[dict[str, Any]]:
    """The lineage of a chunk, in the order data flows, as `nightjar explain --json` prints it.

    Raises:
        UnknownName: there is no such chunk.
    """
    rows = warehouse.arrow(CHUNKS, lineage(warehouse, chunk_id, kept_indexes(corpus))).to_pylist()
    if not any(row["part"] == "chunk" for row in rows):
        raise UnknownName("chunk", chunk_id, [f"those that nightjar search {corpus.name} --json shows"])
    return rows


def kept_indexes(corpus: Corpus) -> dict[str, int]:
    """Version of `chunks` that each index version on disk was built from."""
    return {manifest.index_id: manifest.table_versions[CHUNKS.name] for manifest in manifests(corpus.indexes)}


def lineage(warehouse: Warehouse, chunk_id: str, indexes: Mapping[str, int]) -> DataFrame:
    """One query over every table that knows the chunk.

    Args:
        indexes: versions of `chunks` by the index_id of the bundles that were built from them.
    """
    chunk = warehouse.read(CHUNKS).where(F.col("chunk_id") == chunk_id)
    text = chunk.select("text_hash").distinct()
    parts = [
        _part(
            "page",
            warehouse.read(PAGES).join(chunk.select("url", "body_hash"), ["url", "body_hash"], "left_semi"),
            id="url",
            text="outcome",
            at="fetched_at",
            directives="robots_tag",
        ),
        _part(
            "document",
            _with_directives(warehouse.read(DOCUMENTS).join(chunk.select("doc_id"), "doc_id", "left_semi")),
            id="doc_id",
            text="title",
            made_by="extractor_id",
            **_SAID,
        ),
        _part(
            "duplicate",
            _duplicates(warehouse.read(SIGNATURES).where("live"), chunk.select("doc_id").distinct()),
            id="url",
            text="repeats",
            made_by="signer_id",
        ),
        _part("chunk", _with_directives(chunk), id="chunk_id", text="text", made_by="chunker_id", **_SAID),
        _part(
            "feature",
            warehouse.read(FEATURES).join(text, "text_hash", "left_semi"),
            id="feature",
            text="text",
            **_GENERATED,
        ),
        _part(
            "synthetic query",
            warehouse.read(SYNTHETIC_QUERIES).join(text, "text_hash", "left_semi"),
            id="sample",
            text="query",
            **_GENERATED,
        ),
        _part(
            "embedding",
            warehouse.read(EMBEDDINGS).join(text, "text_hash", "left_semi"),
            id="text_hash",
            made_by="encoder_id",
        ),
        _part(
            "sparse embedding",
            warehouse.read(SPARSE_EMBEDDINGS).join(text, "text_hash", "left_semi"),
            id="text_hash",
            made_by="encoder_id",
        ),
        *_in_indexes(warehouse, chunk_id, indexes),
    ]
    numbered = [part.withColumn("position", F.lit(position)) for position, part in enumerate(parts)]
    together = reduce(DataFrame.unionByName, numbered)
    return together.orderBy("position", "at", "id").select(*FIELDS)


_GENERATED = {
    "made_by": "recipe_id",
    "model_id": "model_id",
    "prompt_tokens": "prompt_tokens",
    "output_tokens": "output_tokens",
    "at": "created_at",
}


_SAID = {"directives": "directives", "licence": "licence"}


def _with_directives(frame: DataFrame) -> DataFrame:
    """With the directives as one text."""
    return frame.withColumn("directives", F.concat_ws(", ", "directives"))


def _duplicates(signatures: DataFrame, document: DataFrame) -> DataFrame:
    """Documents that repeat the chunk's, or the chunk's own where it repeats another; `repeats` says how closely."""
    repeated = document.withColumnRenamed("doc_id", "duplicate_of")
    repeating = signatures.join(repeated, "duplicate_of", "left_semi")
    itself = signatures.where("duplicate_of is not null").join(document, "doc_id", "left_semi")
    said = F.format_string("repeats document %s, similarity %.3f", "duplicate_of", "similarity")
    return repeating.unionByName(itself).withColumn("repeats", said)


def _part(name: str, frame: DataFrame, **columns: str) -> DataFrame:
    """Rows of one table in the shape that all parts share."""
    columns = {"run_id": "run_id", **columns}

    def value(field: str) -> Column:
        found = F.col(columns[field]) if field in columns else F.lit(None)
        return found.cast(FIELDS[field]).alias(field)

    return frame.select(F.lit(name).alias("part"), *(value(field) for field in FIELDS if field != "part"))


def _in_indexes(warehouse: Warehouse, chunk_id: str, indexes: Mapping[str, int]) -> list[DataFrame]:
    """Index versions that hold the chunk: those built from a version of `chunks` where it was live."""
    if not indexes:
        return []
    holding = [
        warehouse.read(CHUNKS, version=version)
        .where((F.col("chunk_id") == chunk_id) & F.col("live"))
        .select(F.lit(index_id).alias("index_id"))
        for index_id, version in indexes.items()
    ]
    rows = warehouse.read(INDEXES).join(reduce(DataFrame.unionAll, holding), "index_id", "left_semi")
    return [_part("index", rows, id="index_id", text="state", made_by="encoder_id", at="built_at")]


def print_lineage(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """The lineage for people, a few lines a part. Crawled and generated text is shown as text, never as markup."""
    for row in rows:
        console.print(Text(f"{row['part']:<16}{row['id']}", style="bold"), soft_wrap=True)
        if row["text"]:
            console.print(Text(f"{'':<16}{' '.join(row['text'].split())[:LONGEST_TEXT]}"))
        console.print(Text(f"{'':<16}{', '.join(_makers(row))}", style="dim"), soft_wrap=True)


def _makers(row: Mapping[str, Any]) -> list[str]:
    """Who made a part, with what, and when, in words."""
    said = {
        "by": row["made_by"],
        "model": row["model_id"],
        "tokens": None
        if row["prompt_tokens"] is None
        else f"{row['prompt_tokens']} read, {row['output_tokens']} written",
        "at": row["at"] and f"{row['at']:%Y-%m-%d %H:%M:%S} UTC",
        "run": row["run_id"],
        "directives": row["directives"] and " ".join(row["directives"].split()),
        "licence": row["licence"],
    }
    return [f"{name} {value}" for name, value in said.items() if value]
