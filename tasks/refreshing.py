"""The refresh: an index version is built from pinned tables, checked, and made live by one atomic swap."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from models.encoder import Encoder
from schemas.chunks import CHUNKS
from schemas.errors import BundleError, WarehouseError
from schemas.indexes import INDEXES
from schemas.synthetic_queries import SYNTHETIC_QUERIES
from schemas.table import Table
from tasks.index_gates import MOST_QUERIES, Evidence, Predecessor, judge_index
from tasks.index_tables import NO_VECTORS, IndexTables, tables_of
from tasks.judged import read_judged
from tasks.run import Run, Stage
from warehouse.bundle import Bundle, Source, build_bundle, open_version
from warehouse.extension import Budget, Extension, extend_bundle, why_whole
from warehouse.gates import GateResult, write_page
from warehouse.manifest import Manifest, Parameters, Wanted
from warehouse.pointer import Pointer, live_pointer, publish_bundle, read_pointer
from warehouse.registry import registry_of
from warehouse.retention import retire_bundles
from warehouse.tables import Warehouse


def build(
    stage: Stage,
    encoder_id: str,
    recipe_ids: Collection[str],
    sparse_encoder_id: str | None = None,
    late_recipes: Collection[str] = (),
) -> str | None:
    """Build an index version of the live chunks, unless the live one is whole and of the same content.

    It is made of the live version and what changed since, as long as that pays (`[index]` in the corpus file).

    Args:
        recipe_ids: of the features that go into it.
        sparse_encoder_id: of the learned sparse vectors that go into it; None for none.
        late_recipes: recipe_ids of what was encoded by itself beside the texts.

    Returns:
        The version's index_id; None where there is nothing to publish.

    Raises:
        BundleError: there is no chunk to index, or a chunk has no vector.
    """
    run = stage.run
    settings = run.corpus.index
    parameters = Parameters(dense=settings.dense, flat_below=settings.flat_below, min_recall=settings.min_recall)
    recipes, late = (tuple(sorted(each)) for each in (recipe_ids, late_recipes))
    wanted = Wanted(encoder_id, recipes, sparse_encoder_id, parameters, late)
    versions = {table.name: run.pin(table) for table in tables_of(wanted)}
    tables = IndexTables(run.warehouse, stage.read, versions, wanted)
    live = run.live
    if live and _built_from(run, live) == versions and not _damage(run, live, verify=True):
        return None
    made, new_vectors = _whole_or_extension(stage, tables, live)
    stage.ledger.rows_in = len(made.source.chunks) if isinstance(made, Extension) else len(made.chunks)
    known = _already_known(run, made)
    if known:
        stage.ledger.skipped = stage.ledger.rows_in
        stage.ledger.detail = known
        return None
    bundle = _put(stage, tables, made, new_vectors)
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


def check(
    stage: Stage, index_id: str, open_encoder: Callable[[], Encoder], pages: Path, *, force: bool = False
) -> None:
    """Hold a built version against its gates and keep what they measured in `indexes`.

    Args:
        open_encoder: the version's encoder, which queries are encoded with.
        pages: folder for the result as HTML.
        force: a version that fails is let through, and `indexes` says that it was forced.

    Raises:
        GateError: a gate did not hold; the version is marked as rejected and the live one serves on.
    """
    encoder = open_encoder()
    bundle = _opened(stage.run, index_id)
    bundle.refuse_other_encoder(encoder.encoder_id)
    evidence = _evidence(stage, bundle)
    result = judge_index(bundle, _predecessor(stage), evidence, encoder, stage.run.corpus.index)
    page = write_page(result, pages)
    _keep_verdict(stage, index_id, result, forced=force and bool(result.failed))
    if force and result.failed:
        stage.ledger.detail = f"forced past {', '.join(expectation.name for expectation in result.failed)}"
        return
    result.raise_if_failed(str(page))


def publish(stage: Stage, index_id: str | None, encoder_id: str) -> None:
    """Swap the pointer to a checked version, and delete bundles beyond those kept for rollback.

    Without a version only `indexes` is brought into line with the pointer: a kill may have come between the two.

    Raises:
        BundleError: another run published meanwhile, or the bundle is damaged or of another encoder.
    """
    root, before = stage.run.corpus.indexes, stage.run.live
    if index_id:
        publish_bundle(root, index_id, encoder_id, expected=before.index_id if before else None)
        retire_bundles(root, stage.run.corpus.index.keep)
    live = read_pointer(root)
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


def built_or_live(run: Run, built: str | None) -> Bundle:
    """The version this run has built, or else the live one.

    Raises:
        BundleError: there is neither, or it is damaged.
    """
    return _opened(run, built or live_pointer(run.corpus.indexes).index_id)


def _opened(run: Run, index_id: str, *, verify: bool = False) -> Bundle:
    return open_version(run.corpus.indexes, index_id, verify=verify)


def _built_from(run: Run, live: Pointer) -> dict[str, int]:
    """Table versions of the live bundle; a damaged one counts as built from nothing, so that it is built again."""
    try:
        return dict(registry_of(run.corpus.indexes).manifest(live.index_id).table_versions)
    except BundleError:
        return {}


def _already_known(run: Run, made: Source | Extension) -> str:
    """Why a version is not built; empty where it is. The live one is, if it is damaged."""
    live = run.live
    if live and made.index_id == live.index_id:
        # What is made of the live version was so after every byte of that was read.
        damage = _damage(run, live, verify=isinstance(made, Source))
        if not damage:
            return "the live index has this content"
        run.progress.note(f"the live index is built again: {damage}")
    return "withdrawn" if live and made.index_id in live.withdrawn else ""


def _damage(run: Run, live: Pointer, *, verify: bool) -> str:
    """What is wrong with the live version, empty for nothing; what is missing where it is kept is put there again."""
    try:
        _opened(run, live.index_id, verify=verify)
    except BundleError as error:
        return str(error)
    registry_of(run.corpus.indexes).keep(live.index_id)
    return ""


def _whole_or_extension(stage: Stage, tables: IndexTables, live: Pointer | None) -> tuple[Source | Extension, pa.Table]:
    """What the new version is made of: the live one and what changed, or everything; the ledger says why.

    Returns:
        Beside it the vectors that were written since the live one, where that is extended.
    """
    settings = stage.run.corpus.index
    budget = Budget(settings.extend_from, settings.most_segments, settings.most_dead)
    if live is None:
        return tables.source(), NO_VECTORS
    try:
        manifest = registry_of(stage.run.corpus.indexes).manifest(live.index_id)
        reason = why_whole(manifest, tables.wanted, 0, budget)
        if not reason:
            parent, passages, vectors = _parent_and_changes(stage.run, tables, manifest)
            moved = tables.moved_since(parent, passages)
            reason = why_whole(manifest, tables.wanted, len(moved.touched), budget)
    except (BundleError, WarehouseError) as error:
        reason = str(error)
    if reason:
        stage.ledger.detail = f"written anew: {reason}"
        return tables.source(), NO_VECTORS
    return Extension(parent, moved.touched, tables.moved_source(moved)), vectors


def _parent_and_changes(run: Run, tables: IndexTables, manifest: Manifest) -> tuple[Bundle, pa.Table, pa.Table]:
    """The live version, verified, and what became of passages and vectors since, all read at the same time.

    Raises:
        BundleError: the version is damaged.
        WarehouseError: no feed of changes reaches so far back.
    """
    with ThreadPoolExecutor(2) as pool:
        parent = pool.submit(_opened, run, manifest.index_id, verify=True)
        vectors = pool.submit(tables.vectors_since, manifest)
        passages = tables.passages_since(manifest)
        return parent.result(), passages, vectors.result()


def _put(stage: Stage, tables: IndexTables, made: Source | Extension, new_vectors: pa.Table) -> Bundle:
    """Write the version and say in the ledger what of it is new."""
    run, root = stage.run, stage.run.corpus.indexes
    if isinstance(made, Source):
        run.progress.note(f"building index {made.index_id} of {len(made.chunks):,} chunks")
        bundle = build_bundle(root, made, tables.vectors(), tables.sparse_vectors())
        stage.ledger.rows_out = bundle.manifest.chunks
        return bundle
    run.progress.note(f"building index {made.index_id}: {made.changed:,} texts changed")
    own = tables.vectors_of(made.unembedded, new_vectors)
    vectors = pa.concat_tables([own, tables.late_vectors(made.added.text_hashes).cast(own.schema)])
    bundle = extend_bundle(root, made, vectors, tables.sparse_vectors(made.added.text_hashes))
    stage.ledger.rows_out = len(made.added.chunks)
    stage.ledger.skipped = bundle.manifest.chunks - stage.ledger.rows_out
    return bundle


def _vectors(stage: Stage, bundle: Bundle) -> pa.Table:
    """What a version's gate compares its vectors with: all, or those that its parent does not have."""
    run, manifest = stage.run, bundle.manifest
    tables = IndexTables(run.warehouse, stage.read, manifest.table_versions, Wanted.of(manifest))
    if manifest.parent is None:
        return tables.vectors()
    parent = _opened(run, manifest.parent)
    return tables.vectors_of(parent.stored.unembedded(bundle.stored.chunks), tables.vectors_since(parent.manifest))


def _index_row(run: Run, bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "index_id": manifest.index_id,
        "ds": run.ds,
        "state": "built",
        "path": f"{registry_of(run.corpus.indexes).address}/{manifest.index_id}",
        "encoder_id": manifest.encoder_id,
        "chunks": manifest.chunks,
        "table_versions": sorted(manifest.table_versions.items()),
        "gates": [],
        "failed_gates": [],
        "forced": False,
        "built_at": datetime.now(UTC),
        "run_id": run.run_id,
    }


def _predecessor(stage: Stage) -> Predecessor | None:
    """The live version with what its gates measured; a damaged one is nothing to compare with, and is said to be."""
    if stage.run.live is None:
        return None
    try:
        bundle = _opened(stage.run, stage.run.live.index_id)
    except BundleError as error:
        stage.run.progress.note(f"nothing to compare with: {error}")
        return None
    rows = _index_rows(stage.run.warehouse, bundle.manifest.index_id)
    return Predecessor(bundle, dict(rows[0]["gates"]) if rows else {})


def _evidence(stage: Stage, bundle: Bundle) -> Evidence:
    """What the tables and the corpus file say about the content that a version should have."""
    run = stage.run
    live = stage.read(CHUNKS).where("live")
    kept = stage.read(SYNTHETIC_QUERIES).where("kept").join(live, "text_hash", "left_semi")
    asked = kept.orderBy("text_hash", "recipe_id", "sample").select("query", "text_hash").limit(MOST_QUERIES)
    items = run.warehouse.arrow(SYNTHETIC_QUERIES, asked).to_pylist()
    judged, passages = run.corpus.judged, run.corpus.passages
    return Evidence(
        live_chunk_ids=run.warehouse.arrow(CHUNKS, live.select("chunk_id"))["chunk_id"],
        vectors=_vectors(stage, bundle),
        known_items=[(item["query"], item["text_hash"]) for item in items],
        judged=read_judged(judged, passages) if judged and passages else None,
        smoke_queries=run.corpus.index.smoke_queries,
    )


def _keep_verdict(stage: Stage, index_id: str, result: GateResult, *, forced: bool) -> None:
    """Before the pointer is swapped: a forced version is never live without a row that says so."""
    for row in _index_rows(stage.run.warehouse, index_id):
        row["state"] = "rejected" if result.failed else "gated"
        row["gates"] = sorted(result.figures.items())
        row["failed_gates"] = [expectation.name for expectation in result.failed]
        row["forced"] = forced
        stage.merge(INDEXES, INDEXES.rows([row]))


def _index_rows(warehouse: Warehouse, index_id: str) -> list[dict[str, Any]]:
    stored = warehouse.read(INDEXES).where(F.col("index_id") == index_id)
    return warehouse.arrow(INDEXES, stored).to_pylist()


def _follow(row: dict[str, Any], pointer: Pointer) -> bool:
    """Set a row's state by the pointer; true if that changed it."""
    before = row["state"], row["published_at"]
    if row["index_id"] == pointer.index_id:
        row["state"], row["published_at"] = "published", datetime.fromisoformat(pointer.published_at)
    elif row["state"] == "published":
        row["state"] = "retired"
    return before != (row["state"], row["published_at"])
