"""Index bundles: one immutable folder per index version, everything in it that answering a query needs.

A bundle is written beside its place and renamed when it is complete. The same inputs give the same bytes.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.errors import BundleError, DamagedBundle
from schemas.hashing import digest, fingerprint
from schemas.passage import passage_text
from schemas.vectors import query_encoder
from warehouse.content import contents, total
from warehouse.dense import DENSE_FILE, DenseIndex, late_vectors_of, vectors_of, write_dense
from warehouse.durable import new_folder
from warehouse.lexical import LEXICAL_FOLDER, LexicalIndex, ScoredIndex, write_lexical
from warehouse.manifest import (
    FORMAT,
    Dense,
    Manifest,
    Parameters,
    check_files,
    library_versions,
    read_manifest,
    stored_files,
)
from warehouse.registry import UNFINISHED, registry_of
from warehouse.segments import Texts
from warehouse.sparse import SPARSE_FOLDER, SparseIndex, write_sparse
from warehouse.stored import (
    CHUNKS_FILE,
    FEATURES_FILE,
    ROWS_PER_BATCH,
    StoredFields,
    distinct_sorted,
    read_rows,
    recipes_by_feature,
    sorted_chunks,
    sorted_features,
    write_rows,
)

DEAD_FILE, DEAD_TERMS_FILE = "dead.arrow", "dead_terms.arrow"


@dataclass(frozen=True)
class Source:
    """What an index version is made from, besides the vectors.

    Attributes:
        chunks: the live passages, in any order, with `input_hashes` where more than a text was encoded.
        features: feature rows of the recipes that the corpus runs; those of other texts are left out.
        encoder_id: encoder of the vectors.
        table_versions: Delta version of each table the rows were read at.
        sparse_encoder_id: encoder of the learned sparse vectors; None for an index without them.
        asked_recipes: recipe_ids whose features were asked for, also where there were none.
        late_recipes: recipe_ids of what was encoded by itself beside the texts.
    """

    chunks: pa.Table
    features: pa.Table
    encoder_id: str
    table_versions: Mapping[str, int]
    parameters: Parameters = field(default_factory=Parameters)
    sparse_encoder_id: str | None = None
    asked_recipes: tuple[str, ...] = ()
    late_recipes: tuple[str, ...] = ()

    @cached_property
    def index_id(self) -> str:
        """Fingerprint of the content: equal for two nights that would build the same index.

        Vectors count through their encoders, the texts and what was appended to these. Table versions do not count,
        because a table may move without its live rows changing.
        """
        return self.identity(self.content)

    @cached_property
    def content(self) -> int:
        """Of all rows."""
        return total(contents(self.stored_chunks, self.stored_features).values())

    def identity(self, content: int) -> str:
        """index_id of a version with this content, built as this one is."""
        made_from = [FORMAT, self.encoder_id, self.sparse_encoder_id, self.parameters.model_dump()]
        return digest(fingerprint(made_from), f"{content:032x}")

    @cached_property
    def stored_chunks(self) -> pa.Table:
        """The passages as the bundle keeps them."""
        return sorted_chunks(self.chunks)

    @cached_property
    def stored_features(self) -> pa.Table:
        """The features as the bundle keeps them."""
        return sorted_features(self.features, self.text_hashes)

    @property
    def text_hashes(self) -> pa.StringArray:
        """The distinct texts, in the order of their numbers."""
        return distinct_sorted(self.stored_chunks["text_hash"])[0]


class Bundle:
    """An open index version. Its parts are opened when they are first used: lexical search never opens FAISS.

    Attributes:
        folder: of its files.
        manifest: what it was built from.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @cached_property
    def stored(self) -> StoredFields:
        """Passages and features."""
        try:
            return StoredFields(self._parts(), self._dead)
        except (OSError, pa.ArrowException) as error:
            raise BundleError("the stored passages are not readable", where=str(self.folder)) from error

    @cached_property
    def dense(self) -> DenseIndex:
        """Vectors."""
        first, *later = self._parts(DENSE_FILE)
        return DenseIndex(first, later=later, texts=self._layout)

    @cached_property
    def lexical(self) -> LexicalIndex:
        """BM25."""
        (first, *later), parameters = self._parts(LEXICAL_FOLDER), self.manifest.parameters
        if self.manifest.format == 1:
            return ScoredIndex(first, parameters, self.manifest.texts)
        dead_terms = read_rows(self.folder / DEAD_TERMS_FILE) if self.manifest.dead else None
        return LexicalIndex(first, parameters, later=later, texts=self._layout, dead_terms=dead_terms)

    @cached_property
    def sparse(self) -> SparseIndex:
        """Learned sparse vectors.

        Raises:
            BundleError: the bundle has none.
        """
        if not self.manifest.sparse_encoder_id:
            raise BundleError(
                "the index has no learned sparse vectors",
                where=str(self.folder),
                remedy="Name a sparse encoder in the corpus file and build one: nightjar nightly CORPUS",
            )
        first, *later = self._parts(SPARSE_FOLDER)
        return SparseIndex(first, self.stored.texts, later=later)

    def _parts(self, name: str = "") -> list[Path]:
        """A file or folder of every segment."""
        later = range(1, len(self.manifest.segments))
        return [self.folder / name, *(self.folder / segment_folder(number) / name for number in later)]

    @property
    def _layout(self) -> Texts | None:
        """Of a bundle of several segments; to one that is whole, passages do not have to be opened for it."""
        return self.stored.texts if len(self.manifest.segments) > 1 or self.manifest.dead else None

    @property
    def _dead(self) -> NDArray[np.int64]:
        if not self.manifest.dead:
            return np.empty(0, np.int64)
        return np.asarray(read_rows(self.folder / DEAD_FILE)["number"], np.int64)

    def refuse_other_encoder(self, encoder_id: str) -> None:
        """Raises BundleError unless this encoder's queries can be asked of the bundle's vectors."""
        self._refuse_other("encoder", encoder_id, query_encoder(self.manifest.encoder_id))

    def refuse_other_sparse_encoder(self, encoder_id: str) -> None:
        """Raises BundleError unless this encoder's queries can be asked of the bundle's sparse vectors."""
        own = self.manifest.sparse_encoder_id
        self._refuse_other("sparse encoder", encoder_id, own and query_encoder(own))

    def _refuse_other(self, kind: str, asked: str, own: str | None) -> None:
        if asked != own:
            raise BundleError(
                f"the index was built with {kind} {own}, not {asked}",
                where=str(self.folder),
                remedy=f"Build an index with this {kind}: nightjar nightly CORPUS",
            )


def segment_folder(number: int) -> str:
    """Where a segment after the first lies in a bundle."""
    return f"segments/{number}"


def build_bundle(root: str | Path, source: Source, vectors: pa.Table, sparse_vectors: pa.Table | None = None) -> Bundle:
    """Write the bundle of an index version under a warehouse's root, or open it where it is there already.

    Args:
        source: what is indexed.
        vectors: `text_hash` and `vector` of every text, in any order; other texts may be among them. The first row of
            a text is its own vector, further ones are late variants.
        sparse_vectors: `text_hash`, `terms` and `weights`, likewise, where the source names a sparse encoder.

    Raises:
        BundleError: no live chunk, a text without a vector, vectors of several lengths, or a disk that is full.
    """

    def write(folder: Path) -> Manifest:
        return _write(folder, source, vectors, sparse_vectors)

    return put_bundle(root, source.index_id, write)


def put_bundle(root: str | Path, index_id: str, write: Callable[[Path], Manifest]) -> Bundle:
    """Put a bundle in its place, complete or not at all, or open it where it is there already.

    Args:
        write: writes all of it into the folder it is given.

    Raises:
        BundleError: it cannot be written, or what was written does not fit together.
    """
    registry = registry_of(root)
    folder = registry.folder / index_id
    bundle = _already_built(root, index_id)
    if not bundle:
        try:
            with new_folder(folder, UNFINISHED) as made:
                manifest = write(made)
                manifest.write(made)
                _check_sizes(Bundle(made, manifest))
        except OSError as error:
            raise _unwritable(error, folder) from error
    registry.keep(index_id)
    return bundle or open_bundle(folder, verify=False)


def open_version(root: str | Path, index_id: str, *, verify: bool) -> Bundle:
    """Open an index version under a root; one in object storage is fetched first, and again where its copy is damaged.

    Args:
        verify: see `open_bundle`.

    Raises:
        BundleError: as `open_bundle`, or the object storage does not give it.
    """
    registry = registry_of(root)
    try:
        return open_bundle(registry.fetch(index_id), verify=verify)
    except DamagedBundle:
        if not registry.forget(index_id):
            raise
        return open_bundle(registry.fetch(index_id), verify=verify)


def open_bundle(folder: Path, *, verify: bool) -> Bundle:
    """Open a bundle after checking that it is whole.

    Args:
        verify: also compute the checksum of every file; otherwise presence and sizes are compared.

    Raises:
        BundleError: naming what is missing, damaged or too new.
    """
    manifest = read_manifest(folder)
    if manifest.index_id != folder.name:
        raise BundleError(f"the folder holds index version {manifest.index_id}", where=str(folder))
    check_files(folder, manifest, verify=verify)
    bundle = Bundle(folder, manifest)
    if verify:
        _check_sizes(bundle)
    return bundle


def _already_built(root: str | Path, index_id: str) -> Bundle | None:
    """The whole bundle that stands there. A damaged one is removed: it can be built again, byte for byte."""
    try:
        return open_version(root, index_id, verify=True)
    except BundleError:
        shutil.rmtree(registry_of(root).folder / index_id, ignore_errors=True)
        return None


def write_segment(
    folder: Path, source: Source, vectors: pa.Table, sparse_vectors: pa.Table | None
) -> tuple[int, Dense]:
    """Write the files of a segment over the passages of a source.

    Returns:
        Length of a vector, and what the dense index is.

    Raises:
        BundleError: a text without a vector, or vectors of several lengths.
        OSError: the disk is full or cannot be written.
    """
    chunks = source.stored_chunks
    text_hashes, first_rows = distinct_sorted(chunks["text_hash"])
    matrix = vectors_of(text_hashes, vectors)
    write_rows(folder / CHUNKS_FILE, chunks)
    write_rows(folder / FEATURES_FILE, source.stored_features)
    dense = write_dense(folder / DENSE_FILE, matrix, source.parameters, late_vectors_of(text_hashes, vectors))
    write_lexical(folder / LEXICAL_FOLDER, passage_texts(chunks.take(first_rows)), source.parameters)
    if sparse_vectors is not None:
        write_sparse(folder / SPARSE_FOLDER, text_hashes, sparse_vectors)
    return int(matrix.shape[1]), dense


def _write(folder: Path, source: Source, vectors: pa.Table, sparse_vectors: pa.Table | None) -> Manifest:
    chunks, features = source.stored_chunks, source.stored_features
    if not len(chunks):
        raise BundleError("there is no live chunk to index", remedy="Crawl some pages first: nightjar nightly CORPUS")
    dimension, dense = write_segment(folder, source, vectors, sparse_vectors)
    texts = len(source.text_hashes)
    return Manifest(
        index_id=source.index_id,
        encoder_id=source.encoder_id,
        sparse_encoder_id=source.sparse_encoder_id,
        dimension=dimension,
        dense=dense,
        table_versions=dict(sorted(source.table_versions.items())),
        parameters=source.parameters,
        recipes=recipes_by_feature(features),
        asked_recipes=tuple(sorted(source.asked_recipes)),
        late_recipes=source.late_recipes,
        chunks=len(chunks),
        texts=texts,
        features=len(features),
        files=stored_files(folder),
        libraries=library_versions(),
        content=f"{source.content:032x}",
        segments=(texts,),
    )


def passage_texts(passages: pa.Table) -> Iterator[str]:
    for batch in passages.to_batches(max_chunksize=ROWS_PER_BATCH):
        for row in batch.select(["heading_path", "text"]).to_pylist():
            yield passage_text(row["heading_path"], row["text"])


def _check_sizes(bundle: Bundle) -> None:
    """Files that are each whole may still belong to different versions."""
    manifest, stored = bundle.manifest, bundle.stored
    numbers = manifest.texts + manifest.dead
    found = {
        "passages": (stored.living_passages, manifest.chunks),
        "texts": (stored.texts.living, manifest.texts),
        "vectors": (bundle.dense.size, numbers),
        "numbers a vector": (bundle.dense.dimension, manifest.dimension),
        "lexical entries": (bundle.lexical.size, numbers),
    }
    for what, (there, wanted) in found.items():
        if there != wanted:
            raise BundleError(f"the bundle has {there:,} {what}, not {wanted:,}", where=str(bundle.folder))


def _unwritable(error: OSError, folder: Path) -> BundleError:
    return BundleError(
        f"the index version cannot be written: {error.strerror or error}",
        where=str(folder),
        left_behind="Nothing was published and the live index serves on",
        remedy="Free some space or give this user the right to write there, and run the same command again",
    )
