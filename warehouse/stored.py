"""What a bundle stores beside its indexes: the passages and their features, memory-mapped.

Passages are sorted by text_hash, so that all passages with one text stand together. The n-th distinct text has
number n here, in the dense index and in the lexical one: no other map between them is needed.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.chunks import CHUNKS
from schemas.errors import UnknownName
from schemas.features import FEATURES
from warehouse.segments import Texts

CHUNKS_FILE = "chunks.arrow"
FEATURES_FILE = "features.arrow"
CHUNK_COLUMNS = (
    "chunk_id", "doc_id", "url", "ordinal", "heading_path", "text", "text_hash", "kind", "start", "end",
)  # fmt: skip
# Stored where a passage has one: an index without it is the index it was before there was such a column.
OPTIONAL_COLUMNS = ("licence", "ds", "input_hashes")
INPUT_HASHES = pa.field("input_hashes", pa.string())
"""`input_hash` of the dense and of the sparse vector of a passage: when one is replaced, the passage has changed."""
FEATURE_COLUMNS = ("text_hash", "feature", "recipe_id", "text")
ROWS_PER_BATCH = 65_536


def sorted_chunks(chunks: pa.Table) -> pa.Table:
    """The stored columns of the passages, those with one text together, in an order that is always the same."""
    optional = (name for name in OPTIONAL_COLUMNS if name in chunks.column_names)
    columns = (*CHUNK_COLUMNS, *(name for name in optional if chunks[name].null_count < len(chunks)))
    return _declared(chunks, CHUNKS.schema.append(INPUT_HASHES), columns, order=("text_hash", "chunk_id"))


def sorted_features(features: pa.Table, text_hashes: pa.StringArray) -> pa.Table:
    """The stored columns of the features of the given texts, in an order that is always the same."""
    rows = features.filter(pc.is_in(features["text_hash"], value_set=text_hashes))
    return _declared(rows, FEATURES.schema, FEATURE_COLUMNS, order=("text_hash", "feature", "recipe_id"))


def distinct_sorted(values: "pa.ChunkedArray[Any]") -> tuple[pa.StringArray, NDArray[np.int64]]:
    """The distinct values of a sorted column, and the row at which each first stands."""
    encoded = pc.run_end_encode(values.combine_chunks(), run_end_type=pa.int64())  # type: ignore[attr-defined]
    ends = encoded.run_ends.to_numpy()
    return encoded.values, np.concatenate(([0], ends[:-1])) if len(ends) else ends


def recipes_by_feature(features: pa.Table) -> dict[str, tuple[str, ...]]:
    """The recipes that wrote each feature, sorted."""
    pairs = features.group_by(["feature", "recipe_id"]).aggregate([]).to_pylist()
    found: dict[str, tuple[str, ...]] = {}
    for row in sorted(pairs, key=lambda pair: (pair["feature"], pair["recipe_id"])):
        found[row["feature"]] = (*found.get(row["feature"], ()), row["recipe_id"])
    return found


def write_rows(path: Path, rows: pa.Table) -> None:
    """Write rows as an Arrow file whose bytes depend on nothing but the rows."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=ROWS_PER_BATCH)


class StoredFields:
    """The passages and features of an open bundle.

    Args:
        folders: of its segments.
        dead: numbers of the texts that changed or are gone since their segment was written.

    Attributes:
        text_hashes: of the distinct texts; the position of a hash is the number of its text. One that changed stands
            there again; `texts` says which are alive.
        texts: the layout that the indexes of the bundle share.
    """

    def __init__(self, folders: Sequence[Path], dead: NDArray[np.int64]) -> None:
        passages = [read_rows(folder / CHUNKS_FILE) for folder in folders]
        features = [read_rows(folder / FEATURES_FILE) for folder in folders]
        distinct = [distinct_sorted(rows["text_hash"]) for rows in passages]
        starts = np.cumsum([0, *(len(hashes) for hashes, _ in distinct)])
        rows_before = np.cumsum([0, *(len(rows) for rows in passages)])
        self._rows = pa.concat_tables(passages, promote_options="default")
        self.text_hashes = pa.concat_arrays([hashes for hashes, _ in distinct])
        firsts = [first + before for (_, first), before in zip(distinct, rows_before, strict=False)]
        self._first_row = np.concatenate([*firsts, rows_before[-1:]])
        self._features = pa.concat_tables(features)
        described = [
            _positions(rows["text_hash"], hashes) + start
            for rows, (hashes, _), start in zip(features, distinct, starts, strict=False)
        ]
        self._described = np.concatenate(described)
        self.texts = _layout(self.text_hashes, starts, dead)

    @cached_property
    def chunks(self) -> pa.Table:
        """Living passages; those of one text stand together."""
        return self._rows if self.texts.all_alive else self._rows_of(np.flatnonzero(self.texts.alive))

    @property
    def living_passages(self) -> int:
        """How many passages living texts have."""
        return int(np.diff(self._first_row)[self.texts.alive].sum())

    @cached_property
    def living_features(self) -> pa.Table:
        """Features of living texts."""
        return self._features if self.texts.all_alive else self._features.filter(self.texts.alive[self._described])

    @cached_property
    def _living_hashes(self) -> pa.StringArray:
        return self.text_hashes if self.texts.all_alive else self.text_hashes.filter(pa.array(self.texts.alive))

    def numbers(self, text_hashes: "pa.ChunkedArray[Any] | pa.Array[Any]") -> NDArray[np.int64]:
        """Number of each text, -1 for one that is not in the bundle."""
        found = _positions(text_hashes, self._living_hashes)
        return found if self.texts.all_alive else np.append(np.flatnonzero(self.texts.alive), -1)[found]

    def unembedded(self, passages: pa.Table) -> pa.StringArray:
        """Texts whose vectors are not here: new ones, and those to which something else was appended since.

        Args:
            passages: as a bundle keeps them.
        """
        hashes, first_rows = distinct_sorted(passages["text_hash"])
        numbers = self.numbers(hashes)
        absent: Any = pa.array(numbers < 0)
        if INPUT_HASHES.name in passages.column_names:
            here = self._rows[INPUT_HASHES.name].take(self._first_row[np.maximum(numbers, 0)])
            wanted = passages[INPUT_HASHES.name].take(first_rows)
            otherwise: Any = pc.not_equal(wanted, here)
            absent = pc.or_(absent, otherwise.combine_chunks())
        return hashes.filter(absent)

    def rows(self, numbers: NDArray[np.int64]) -> tuple[pa.Table, pa.Table]:
        """All passages and all features of some texts."""
        described = np.isin(self._described, numbers)
        return self._rows_of(np.sort(numbers)), self._features.filter(pa.array(described))

    def features_without(self, numbers: NDArray[np.int64]) -> pa.Table:
        """Features of all living texts but some."""
        kept = self.texts.alive.copy()
        kept[numbers] = False
        return self._features.filter(pa.array(kept[self._described]))

    def _rows_of(self, numbers: NDArray[np.int64]) -> pa.Table:
        begins, ends = self._first_row[numbers], self._first_row[numbers + 1]
        kept = np.zeros(len(self._rows) + 1, np.int8)
        np.add.at(kept, begins, 1)
        np.add.at(kept, ends, -1)
        return self._rows.filter(pa.array(np.cumsum(kept[:-1], dtype=np.int8).astype(bool)))

    def passages(self, numbers: Iterable[int]) -> list[dict[str, Any]]:
        """One passage of each text: the first where several have it."""
        # `take` would first copy whole columns into one piece.
        return [self._rows.slice(self._first_row[number], 1).to_pylist()[0] for number in numbers]

    def chunks_with(self, number: int) -> list[tuple[str, str]]:
        """chunk_id and URL of every passage that has a text, sorted by chunk_id."""
        begin, end = self._first_row[number], self._first_row[number + 1]
        rows = self._rows.select(["chunk_id", "url"]).slice(begin, end - begin).to_pylist()
        return [(row["chunk_id"], row["url"]) for row in rows]

    @cached_property
    def feature_names(self) -> dict[str, tuple[str, str]]:
        """Names that a feature can be asked for by, each with its feature and recipe_id.

        A feature that one recipe wrote goes by its own name; one that several wrote, by `feature@recipe_id`.
        """
        return {
            feature if len(recipe_ids) == 1 else f"{feature}@{recipe_id}": (feature, recipe_id)
            for feature, recipe_ids in recipes_by_feature(self.living_features).items()
            for recipe_id in recipe_ids
        }

    def features(self, numbers: Iterable[int], name: str) -> list[str]:
        """The feature of each text, empty for a text without it.

        Raises:
            UnknownName: no text in the bundle has a feature of that name.
        """
        if name not in self.feature_names:
            raise UnknownName("feature", name, self.feature_names)
        return [self._feature(number, self.feature_names[name]) for number in numbers]

    def _feature(self, number: int, wanted: tuple[str, str]) -> str:
        begin, end = np.searchsorted(self._described, [number, number + 1])
        rows = self._features.slice(begin, end - begin).to_pylist()
        return next((row["text"] for row in rows if (row["feature"], row["recipe_id"]) == wanted), "")


def _positions(values: "pa.ChunkedArray[Any] | pa.Array[Any]", among: pa.StringArray) -> NDArray[np.int64]:
    """Where each value stands among others, -1 for one that does not."""
    return np.asarray(pc.index_in(values, value_set=among).fill_null(-1), np.int64)


def _layout(text_hashes: pa.StringArray, starts: NDArray[np.int64], dead: NDArray[np.int64]) -> Texts:
    if len(starts) == 2 and not len(dead):
        return Texts.whole(len(text_hashes))
    alive = np.ones(len(text_hashes), np.bool_)
    alive[dead] = False
    rank = np.empty(len(text_hashes), np.int64)
    rank[pc.sort_indices(text_hashes).to_numpy()] = np.arange(len(text_hashes))
    return Texts(starts, alive, rank)


def _declared(rows: pa.Table, schema: pa.Schema, names: Sequence[str], order: Sequence[str]) -> pa.Table:
    declared = pa.schema([_stored(schema.field(name)) for name in names])
    kept = rows.select(list(names)).cast(declared)
    return kept.sort_by([(name, "ascending") for name in order])


def _stored(field: "pa.Field[Any]") -> "pa.Field[Any]":
    """The field without its comment, and a date as text (ISO 8601), which sorts and compares as the date does."""
    plain = field.remove_metadata()
    return plain.with_type(pa.string()) if pa.types.is_date(field.type) else plain


def read_rows(path: Path) -> pa.Table:
    """The rows of an Arrow file, memory-mapped."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
