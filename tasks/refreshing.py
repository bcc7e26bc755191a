"""The refresh: an index version is built from pinned tables, checked, and made live by one atomic swap."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.chunks import CHUNKS
from schemas.embeddings import EMBEDDINGS
from schemas.errors import BundleError
from schemas.features import FEATURES
from schemas.indexes import INDEXES
from schemas.table import Expectation, Table
from tasks.run import Run, Stage
from warehouse.bundle import Bundle, Source, build_bundle, indexes_folder, open_bundle
from warehouse.figures import check_bundle
from warehouse.gates import GateResult, judge, write_page
from warehouse.manifest import Manifest, read_manifest
from warehouse.pointer import Pointer, live_pointer, read_pointer, swap_pointer
from warehouse.retention import retire_bundles
from warehouse.tables import Warehouse

Read = Callable[[Table], DataFrame]  # a table at the version that counts
SOURCES = (CHUNKS, EMBEDDINGS, FEATURES)


def build(stage: Stage, encoder_id: str, recipe_ids: Collection[str]) -> str | None:
    """Build an index version of the live chunks, unless the live one is of the same content.

    Args:
        recipe_ids: of the features that go into it.

    Returns:
        The version's index_id; None where there is nothing to publish.

    Raises:
        BundleError: there is no chunk to index, or a chunk has no vector.
    """
    run = stage.run
    versions = {table.name: run.pin(table) for table in SOURCES}
    live = read_pointer(run.corpus.warehouse)
    if live and _built_from(run, live) == versions:
        return None
    source = _source(run.warehouse, stage.read, encoder_id, recipe_ids, versions)
    stage.ledger.rows_in = len(source.chunks)
    if live and source.index_id in (live.index_id, *live.withdrawn):
        stage.ledger.skipped = len(source.chunks)
        stage.ledger.detail = "the live index has this content" if source.index_id == live.index_id else "withdrawn"
        return None
    run.progress.note(f"building index {source.index_id} of {len(source.chunks):,} chunks")
    bundle = build_bundle(run.corpus.warehouse, source, _vectors(run.warehouse, stage.read, encoder_id))
    stage.append(INDEXES, INDEXES.rows([_index_row(run, bundle)]))
    stage.ledger.rows_out = bundle.manifest.chunks
    return source.index_id


def rebuild(warehouse: Warehouse, manifest: Manifest, root: str | Path) -> Bundle:
    """Build an index version again from the table versions, recipes and encoder its manifest names.

    With the libraries that the manifest names the bytes are the same (`warehouse.manifest.differing_files`).

    Args:
        root: where the bundle is written; the original's own root leaves a whole original as it is.

    Raises:
        WarehouseError: a version it was built from can no longer be read.
    """

    def read(table: Table) -> DataFrame:
        return warehouse.read(table, version=manifest.table_versions[table.name])

    recipe_ids = [recipe_id for written in manifest.recipes.values() for recipe_id in written]
    source = _source(warehouse, read, manifest.encoder_id, recipe_ids, manifest.table_versions)
    return build_bundle(root, source, _vectors(warehouse, read, manifest.encoder_id))


def check(stage: Stage, index_id: str, encoder_id: str, pages: Path) -> None:
    """Hold a built version against its gates and keep what they measured in `indexes`.

    Raises:
        GateError: a gate did not hold; the version is marked as rejected and the live one serves on.
    """
    bundle = _opened(stage.run, index_id)
    live_ids = stage.run.warehouse.arrow(CHUNKS, stage.read(CHUNKS).where("live").select("chunk_id"))["chunk_id"]
    figures = check_bundle(bundle, live_ids, _vectors(stage.run.warehouse, stage.read, encoder_id))
    result = judge(f"index-{index_id}", figures, gates(stage.run.corpus.index.min_recall))
    page = write_page(result, pages)
    _keep_verdict(stage, index_id, result)
    result.raise_if_failed(str(page))


def publish(stage: Stage, index_id: str | None) -> None:
    """Swap the pointer to a checked version, and delete bundles beyond those kept for rollback.

    Without a version only `indexes` is brought into line with the pointer: a kill may have come between the two.

    Raises:
        BundleError: another run published meanwhile.
    """
    root = stage.run.corpus.warehouse
    live = read_pointer(root)
    if index_id:
        live = swap_pointer(root, index_id, expected=live.index_id if live else None)
        retire_bundles(root, stage.run.corpus.index.keep)
    if live:
        _reconcile(stage, live)


def _reconcile(stage: Stage, pointer: Pointer) -> None:
    """Make `indexes` say what the pointer says, which is the truth."""
    rows = stage.run.warehouse.arrow(INDEXES, stage.read(INDEXES)).to_pylist()
    changed = follow_pointer(rows, pointer)
    if changed:
        stage.merge(INDEXES, INDEXES.rows(changed))
        stage.ledger.rows_out += len(changed)


def follow_pointer(rows: list[dict[str, Any]], pointer: Pointer) -> list[dict[str, Any]]:
    """The rows of `indexes` that say other than the pointer, with state and time set to what it says."""
    return [row for row in rows if _follow(row, pointer)]


def gates(min_recall: float) -> tuple[Expectation, ...]:
    """What every index version must prove before it serves."""
    return (
        Expectation("live_chunks_missing", "", maximum=0, meaning="every live chunk is in the index"),
        Expectation("dead_chunks_present", "", maximum=0, meaning="no chunk of a page that is gone is in it"),
        Expectation(
            "recall_at_10", "", minimum=min_recall, meaning="recall@10 of the dense index against exact search"
        ),
    )


def built_or_live(run: Run, built: str | None) -> Bundle:
    """The version this run has built, or else the live one.

    Raises:
        BundleError: there is neither, or it is damaged.
    """
    return _opened(run, built or live_pointer(run.corpus.warehouse).index_id)


def _opened(run: Run, index_id: str) -> Bundle:
    return open_bundle(indexes_folder(run.corpus.warehouse) / index_id, verify=False)


def _built_from(run: Run, live: Pointer) -> dict[str, int]:
    """Table versions of the live bundle; a damaged one counts as built from nothing, so that it is built again."""
    try:
        return dict(read_manifest(indexes_folder(run.corpus.warehouse) / live.index_id).table_versions)
    except BundleError:
        return {}


def _source(
    warehouse: Warehouse, read: Read, encoder_id: str, recipe_ids: Collection[str], versions: Mapping[str, int]
) -> Source:
    """What an index version is made of but the vectors: live chunks, and the features of some recipes.

    Features of a text whose every passage is withheld stay in their table, as history, and out of the index.
    """
    chunks = warehouse.arrow(CHUNKS, read(CHUNKS).where("live"))
    features = warehouse.arrow(FEATURES, read(FEATURES).where(F.col("recipe_id").isin(sorted(recipe_ids))))
    return Source(chunks, describable(features, chunks), encoder_id, dict(versions))


def describable(features: pa.Table, chunks: pa.Table) -> pa.Table:
    """Features of the texts that some passage gives to language models."""
    if "withheld" not in chunks.column_names:  # a version of the table from before it had the column
        return features
    given = chunks.filter(pc.field("withheld").is_null() | ~pc.field("withheld"))
    return features.filter(pc.is_in(features["text_hash"], value_set=given["text_hash"].combine_chunks()))


def _vectors(warehouse: Warehouse, read: Read, encoder_id: str) -> pa.Table:
    """Vectors of the live texts."""
    live = read(CHUNKS).where("live").select("text_hash").distinct()
    vectors = read(EMBEDDINGS).where(F.col("encoder_id") == encoder_id).join(live, "text_hash", "left_semi")
    return warehouse.arrow(EMBEDDINGS, vectors.select("text_hash", "vector"))


def _index_row(run: Run, bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "index_id": manifest.index_id,
        "ds": run.ds,
        "state": "built",
        "path": str(bundle.folder),
        "encoder_id": manifest.encoder_id,
        "chunks": manifest.chunks,
        "table_versions": sorted(manifest.table_versions.items()),
        "gates": [],
        "failed_gates": [],
        "built_at": datetime.now(UTC),
        "run_id": run.run_id,
    }


def _keep_verdict(stage: Stage, index_id: str, result: GateResult) -> None:
    warehouse = stage.run.warehouse
    stored = warehouse.read(INDEXES).where(F.col("index_id") == index_id)
    for row in warehouse.arrow(INDEXES, stored).to_pylist():
        row["state"] = "rejected" if result.failed else "gated"
        row["gates"] = sorted(result.figures.items())
        row["failed_gates"] = [expectation.name for expectation in result.failed]
        stage.merge(INDEXES, INDEXES.rows([row]))


def _follow(row: dict[str, Any], pointer: Pointer) -> bool:
    """Set a row's state by the pointer; true if that changed it."""
    before = row["state"], row["published_at"]
    if row["index_id"] == pointer.index_id:
        row["state"], row["published_at"] = "published", datetime.fromisoformat(pointer.published_at)
    elif row["state"] == "published":
        row["state"] = "retired"
    return before != (row["state"], row["published_at"])
