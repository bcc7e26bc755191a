"""The refresh: an index version is built from pinned tables, checked, and made live by one atomic swap."""

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.chunks import CHUNKS
from schemas.errors import BundleError, WarehouseError
from schemas.indexes import INDEXES
from schemas.table import Expectation, Table
from tasks.index_tables import IndexTables, tables_of
from tasks.run import Run, Stage
from warehouse.bundle import Bundle, Source, build_bundle, indexes_folder, open_bundle
from warehouse.extension import Budget, Extension, extend_bundle, why_whole
from warehouse.figures import check_bundle
from warehouse.gates import GateResult, judge, write_page
from warehouse.manifest import Manifest, Parameters, Wanted, read_manifest
from warehouse.pointer import Pointer, live_pointer, read_pointer, swap_pointer
from warehouse.retention import retire_bundles
from warehouse.tables import Warehouse


def build(
    stage: Stage, encoder_id: str, recipe_ids: Collection[str], sparse_encoder_id: str | None = None
) -> str | None:
    """Build an index version of the live chunks, unless the live one is of the same content.

    It is made of the live version and what changed since, as long as that pays (`[index]` in the corpus file).

    Args:
        recipe_ids: of the features that go into it.
        sparse_encoder_id: of the learned sparse vectors that go into it; None for none.

    Returns:
        The version's index_id; None where there is nothing to publish.

    Raises:
        BundleError: there is no chunk to index, or a chunk has no vector.
    """
    run = stage.run
    settings = run.corpus.index
    parameters = Parameters(dense=settings.dense, flat_below=settings.flat_below, min_recall=settings.min_recall)
    wanted = Wanted(encoder_id, tuple(sorted(recipe_ids)), sparse_encoder_id, parameters)
    versions = {table.name: run.pin(table) for table in tables_of(wanted)}
    tables = IndexTables(run.warehouse, stage.read, versions, wanted)
    live = read_pointer(run.corpus.warehouse)
    if live and _built_from(run, live) == versions:
        return None
    made = _whole_or_extension(stage, tables, live)
    stage.ledger.rows_in = len(made.source.chunks) if isinstance(made, Extension) else len(made.chunks)
    if live and made.index_id in (live.index_id, *live.withdrawn):
        stage.ledger.skipped = stage.ledger.rows_in
        stage.ledger.detail = "the live index has this content" if made.index_id == live.index_id else "withdrawn"
        return None
    bundle = _put(stage, tables, made)
    stage.append(INDEXES, INDEXES.rows([_index_row(run, bundle)]))
    return made.index_id


def rebuild(warehouse: Warehouse, manifest: Manifest, root: str | Path) -> Bundle:
    """Build an index version again from the table versions, recipes and encoders its manifest names.

    Of a version that was written at once the bytes are the same, with the libraries that the manifest names
    (`warehouse.manifest.differing_files`). One that was made of a parent is written at once now: its content, its
    index_id and its answers are the same.

    Args:
        root: where the bundle is written; the original's own root leaves a whole original as it is.

    Raises:
        WarehouseError: a version it was built from can no longer be read.
    """

    def read(table: Table) -> DataFrame:
        return warehouse.read(table, version=manifest.table_versions[table.name])

    tables = IndexTables(warehouse, read, manifest.table_versions, Wanted.of(manifest))
    return build_bundle(root, tables.source(), tables.vectors(), tables.sparse_vectors())


def check(stage: Stage, index_id: str, encoder_id: str, pages: Path) -> None:
    """Hold a built version against its gates and keep what they measured in `indexes`.

    Raises:
        GateError: a gate did not hold; the version is marked as rejected and the live one serves on.
    """
    bundle = _opened(stage.run, index_id)
    bundle.refuse_other_encoder(encoder_id)
    live_ids = stage.run.warehouse.arrow(CHUNKS, stage.read(CHUNKS).where("live").select("chunk_id"))["chunk_id"]
    figures = check_bundle(bundle, live_ids, _vectors(stage, bundle.manifest))
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


def _opened(run: Run, index_id: str, *, verify: bool = False) -> Bundle:
    return open_bundle(indexes_folder(run.corpus.warehouse) / index_id, verify=verify)


def _built_from(run: Run, live: Pointer) -> dict[str, int]:
    """Table versions of the live bundle; a damaged one counts as built from nothing, so that it is built again."""
    try:
        return dict(read_manifest(indexes_folder(run.corpus.warehouse) / live.index_id).table_versions)
    except BundleError:
        return {}


def _whole_or_extension(stage: Stage, tables: IndexTables, live: Pointer | None) -> Source | Extension:
    """What the new version is made of: the live one and what changed, or everything; the ledger says why."""
    settings = stage.run.corpus.index
    budget = Budget(settings.extend_from, settings.most_segments, settings.most_dead)
    if live is None:
        return tables.source()
    try:
        parent = _opened(stage.run, live.index_id, verify=True)
        reason = why_whole(parent.manifest, tables.wanted, 0, budget)
        if not reason:
            moved = tables.moved_since(parent)
            reason = why_whole(parent.manifest, tables.wanted, len(moved.touched), budget)
    except (BundleError, WarehouseError) as error:
        reason = str(error)
    if reason:
        stage.ledger.detail = f"written anew: {reason}"
        return tables.source()
    return Extension(parent, moved.touched, tables.moved_source(moved))


def _put(stage: Stage, tables: IndexTables, made: Source | Extension) -> Bundle:
    """Write the version and say in the ledger what of it is new."""
    run, root = stage.run, stage.run.corpus.warehouse
    if isinstance(made, Source):
        run.progress.note(f"building index {made.index_id} of {len(made.chunks):,} chunks")
        bundle = build_bundle(root, made, tables.vectors(), tables.sparse_vectors())
        stage.ledger.rows_out = bundle.manifest.chunks
        return bundle
    run.progress.note(f"building index {made.index_id}: {made.changed:,} texts changed")
    vectors = tables.vectors_of(made.unembedded, since=made.parent.manifest)
    bundle = extend_bundle(root, made, vectors, tables.sparse_vectors(made.added.text_hashes))
    stage.ledger.rows_out = len(made.added.chunks)
    stage.ledger.skipped = bundle.manifest.chunks - stage.ledger.rows_out
    return bundle


def _vectors(stage: Stage, manifest: Manifest) -> pa.Table:
    """What a version's gate compares its vectors with: all, or those of the texts that its parent does not have."""
    wanted = Wanted.of(manifest)
    tables = IndexTables(stage.run.warehouse, stage.read, manifest.table_versions, wanted)
    if manifest.parent is None:
        return tables.vectors()
    parent = _opened(stage.run, manifest.parent)
    stored = _opened(stage.run, manifest.index_id).stored
    hashes = stored.chunks["text_hash"].combine_chunks().unique()
    new = hashes.filter(pa.array(parent.stored.numbers(hashes) < 0))
    return tables.vectors_of(new, since=parent.manifest)


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
