"""Index versions made of the one before: its files, and one small segment of what changed.

What is unchanged is shared by hard links, so that each version stays a folder of its own that can be checked, kept and
deleted like any other. Texts that changed or went are dead in their old segments; those that changed or came stand in
the new one. Searches give what they would give had all been written at once.
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from warehouse.bundle import (
    DEAD_FILE,
    DEAD_TERMS_FILE,
    Bundle,
    Source,
    passage_texts,
    put_bundle,
    segment_folder,
    write_segment,
)
from warehouse.content import contents, total
from warehouse.durable import share_file
from warehouse.lexical import DEAD_TERMS
from warehouse.manifest import FORMAT, Manifest, StoredFile, Wanted, library_versions, stored_files
from warehouse.stored import distinct_sorted, recipes_by_feature, write_rows


@dataclass(frozen=True)
class Budget:
    """How far a version may grow apart from one that was written at once.

    Attributes:
        least_texts: texts below which all is written at once: it takes no time.
        most_segments: segments of one version.
        most_dead: share of its numbers that dead texts have.
    """

    least_texts: int
    most_segments: int
    most_dead: float


@dataclass(frozen=True)
class Extension:
    """What a version adds to its parent.

    Attributes:
        parent: the version it is made of.
        touched: text hashes that may have changed since; no others did.
        source: living passages and features of the touched texts, and all else as for a version written at once.
    """

    parent: Bundle
    touched: "pa.Array[Any]"
    source: Source

    @property
    def index_id(self) -> str:
        """The same as of a version with this content that is written at once."""
        return self.source.identity(self.content)

    @cached_property
    def content(self) -> int:
        """Of all rows of the new version."""
        after = [self._after[text_hash] for text_hash in self._changed]
        before = [-self._before[text_hash] for text_hash in self._changed]
        return total([int(self.parent.manifest.content, 16), *after, *before])

    @cached_property
    def added(self) -> Source:
        """The source without texts that turned out to be as they were."""
        changed = pa.array(sorted(self._changed), pa.string())
        chunks, features = self.source.chunks, self.source.features
        return replace(
            self.source,
            chunks=chunks.filter(pc.is_in(chunks["text_hash"], value_set=changed)),
            features=features.filter(pc.is_in(features["text_hash"], value_set=changed)),
        )

    @cached_property
    def dead(self) -> NDArray[np.int64]:
        """Numbers in the parent of the texts that changed or went, ascending."""
        numbers = self.parent.stored.numbers(pa.array(sorted(self._changed), pa.string()))
        return np.sort(numbers[numbers >= 0])

    @property
    def changed(self) -> int:
        """How many texts came, changed or went."""
        return len(self._changed)

    @property
    def unembedded(self) -> pa.StringArray:
        """Texts whose vector the parent does not have, or has of what was appended to them before."""
        return self.parent.stored.unembedded(self.added.stored_chunks)

    @cached_property
    def _changed(self) -> frozenset[str]:
        hashes = {*self._before, *self._after}
        return frozenset(each for each in hashes if self._before[each] != self._after[each])

    @cached_property
    def _before(self) -> Counter[str]:
        numbers = self.parent.stored.numbers(self.touched)
        return contents(*self.parent.stored.rows(numbers[numbers >= 0]))

    @cached_property
    def _after(self) -> Counter[str]:
        return contents(self.source.stored_chunks, self.source.stored_features)


def why_whole(parent: Manifest, wanted: Wanted, touched: int, budget: Budget) -> str:
    """Why a version cannot be made of a parent and has to be written at once; empty where it can.

    Args:
        touched: texts that may have changed.
    """
    made_as = replace(Wanted.of(parent), recipe_ids=parent.asked_recipes)
    numbers = parent.texts + parent.dead
    reasons = {
        "the live version has an older format": parent.format < FORMAT,
        "the live version was built by other libraries": parent.libraries != library_versions(),
        "other encoders, recipes or parameters": made_as != wanted,
        "few texts": parent.texts < budget.least_texts,
        "too many segments": len(parent.segments) >= budget.most_segments,
        "too many texts changed": parent.dead + touched > budget.most_dead * numbers,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def extend_bundle(
    root: str | Path, extension: Extension, vectors: pa.Table, sparse_vectors: pa.Table | None = None
) -> Bundle:
    """Write the bundle of a version that extends another, or open it where it is there already.

    Args:
        vectors: `text_hash` and `vector` of the texts whose vector the parent does not have, then late variants of
            all texts that changed or came.
        sparse_vectors: `text_hash`, `terms` and `weights` of all texts that changed or came.

    Raises:
        BundleError: a text without a vector, or a disk that is full.
    """

    def write(folder: Path) -> Manifest:
        return _write(folder, extension, vectors, sparse_vectors)

    return put_bundle(root, extension.index_id, write)


def _write(folder: Path, extension: Extension, vectors: pa.Table, sparse_vectors: pa.Table | None) -> Manifest:
    parent, added = extension.parent, extension.added
    files = {name: file for name, file in parent.manifest.files.items() if name not in (DEAD_FILE, DEAD_TERMS_FILE)}
    for name in files:
        share_file(parent.folder / name, folder / name)
    segments = parent.manifest.segments
    new = folder / segment_folder(len(segments))
    if len(added.chunks):
        new.mkdir(parents=True)
        # As small as it is, exact search in it costs next to nothing.
        flat = replace(added, parameters=added.parameters.model_copy(update={"dense": "flat"}))
        write_segment(new, flat, _with_stored(extension, vectors), sparse_vectors)
        segments = (*segments, len(added.text_hashes))
    _write_dead(folder, extension)
    shared = set(files)
    files |= stored_files(folder, without=shared)
    return _manifest(extension, segments, dict(sorted(files.items())))


def _manifest(extension: Extension, segments: tuple[int, ...], files: dict[str, StoredFile]) -> Manifest:
    parent, added = extension.parent.manifest, extension.added
    old_chunks, old_features = extension.parent.stored.rows(extension.dead)
    kept = extension.parent.stored.features_without(extension.dead)
    return parent.model_copy(
        update={
            "index_id": extension.index_id,
            "table_versions": dict(sorted(added.table_versions.items())),
            "recipes": recipes_by_feature(pa.concat_tables([kept, added.stored_features])),
            "chunks": parent.chunks - len(old_chunks) + len(added.chunks),
            "texts": parent.texts - len(extension.dead) + len(added.text_hashes),
            "features": parent.features - len(old_features) + len(added.stored_features),
            "files": files,
            "content": f"{extension.content:032x}",
            "segments": segments,
            "dead": parent.dead + len(extension.dead),
            "parent": parent.index_id,
            "changed": extension.changed,
        }
    )


def _with_stored(extension: Extension, vectors: pa.Table) -> pa.Table:
    """Vectors of all texts of the new segment: one that the parent has is kept."""
    hashes, parent = extension.added.text_hashes, extension.parent
    kept = hashes.filter(pc.invert(pc.is_in(hashes, value_set=extension.unembedded)))
    stored = parent.dense.vectors(parent.stored.numbers(kept))
    ends = pa.array(np.arange(len(stored) + 1) * stored.shape[1], pa.int32())
    rows = {
        "text_hash": kept,
        "vector": pa.ListArray.from_arrays(ends, pa.array(stored.ravel(), pa.float32())),
    }
    known = pa.table(rows)
    return pa.concat_tables([known, vectors.select(known.column_names).cast(known.schema)])


def _write_dead(folder: Path, extension: Extension) -> None:
    """Write which texts are dead, and in how many of them each term stands."""
    parent = extension.parent
    layout = parent.stored.texts
    numbers = np.sort(np.concatenate([np.flatnonzero(~layout.alive), extension.dead]))
    write_rows(folder / DEAD_FILE, pa.table({"number": pa.array(numbers, pa.int64())}))
    segments = np.searchsorted(layout.starts, extension.dead, side="right") - 1
    counted = [parent.lexical.dead]
    for segment in np.unique(segments):
        chunks, _ = parent.stored.rows(extension.dead[segments == segment])
        texts = passage_texts(chunks.take(distinct_sorted(chunks["text_hash"])[1]))
        counted.append(parent.lexical.terms_of(int(segment), texts))
    summed = pa.concat_tables(counted).group_by(["segment", "column"]).aggregate([("texts", "sum")])
    named = summed.rename_columns({"texts_sum": "texts"}).select(DEAD_TERMS.names).cast(DEAD_TERMS)
    write_rows(folder / DEAD_TERMS_FILE, named.sort_by([("segment", "ascending"), ("column", "ascending")]))
