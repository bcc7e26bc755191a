"""What an index version is made of, read from pinned tables: all of it, or what changed since another version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.chunks import CHUNKS
from schemas.embeddings import EMBEDDINGS
from schemas.features import FEATURES
from schemas.sparse_embeddings import SPARSE_EMBEDDINGS
from schemas.synthetic_queries import SYNTHETIC_QUERIES
from schemas.table import Table
from schemas.vectors import replaceable
from tasks.late import late_hashes
from tasks.orders import given_chunks
from tasks.written_about import Read
from warehouse.bundle import Bundle, Source
from warehouse.manifest import Manifest, Wanted
from warehouse.stored import INPUT_HASHES
from warehouse.tables import Warehouse

VECTOR = ("text_hash", "vector")
NO_VECTORS = pa.schema([EMBEDDINGS.schema.field(name) for name in VECTOR]).empty_table()
SPARSE_VECTOR = ("text_hash", "terms", "weights")


@dataclass(frozen=True)
class Moved:
    """What became of passages and features since a bundle was built.

    Attributes:
        touched: texts of which a passage or a wanted feature came, changed or went, or a vector was replaced.
        chunks: live passages of touched texts, as the feed of changes has them.
        unsure: touched texts that have passages which the feed does not tell of.
    """

    touched: "pa.Array[Any]"
    chunks: pa.Table
    unsure: "pa.Array[Any]"


@dataclass(frozen=True)
class IndexTables:
    """The tables that an index is made of, each at one version.

    Attributes:
        read: a table at its version.
        versions: Delta version of each table.
    """

    warehouse: Warehouse
    read: Read
    versions: Mapping[str, int]
    wanted: Wanted

    def source(self) -> Source:
        """All live passages, and the features of the wanted recipes.

        Features of a text whose every passage is withheld stay in their table, as history, and out of the index.
        """
        return self._source(self.warehouse.arrow(CHUNKS, self.read(CHUNKS).where("live")), None)

    def _source(self, chunks: pa.Table, among: "pa.Array[Any] | None") -> Source:
        if self.wanted.recipe_ids:
            recipes = F.col("recipe_id").isin(list(self.wanted.recipe_ids))
            features = self._rows(FEATURES, self.read(FEATURES).where(recipes), among)
        else:
            features = FEATURES.schema.empty_table()
        return Source(
            self._with_input_hashes(chunks, among),
            describable(features, chunks),
            self.wanted.encoder_id,
            dict(self.versions),
            self.wanted.parameters,
            self.wanted.sparse_encoder_id,
            self.wanted.recipe_ids,
            self.wanted.late_recipes,
        )

    def vectors(self) -> pa.Table:
        """Vectors of the live texts, and after them those of what is encoded by itself beside them."""
        own = self._live(EMBEDDINGS, self.wanted.encoder_id, VECTOR)
        return pa.concat_tables([own, self.late_vectors().cast(own.schema)])

    def late_vectors(self, among: "pa.Array[Any] | None" = None) -> pa.Table:
        """Vectors of what is encoded by itself beside some texts, or beside the live ones: `text_hash` and `vector`."""
        if not self.wanted.late_recipes:
            return NO_VECTORS
        encoded = self._of_encoder(EMBEDDINGS, self.wanted.encoder_id, VECTOR)
        rows = self._rows(EMBEDDINGS, self._late_among(encoded), among)
        return rows.sort_by([("text_hash", "ascending"), ("late_hash", "ascending")]).select(list(VECTOR))

    def _late_among(self, encoded: DataFrame) -> DataFrame:
        """Texts beside which something stands among rows of `embeddings`: `text_hash`, `late_hash`, and their columns.

        Args:
            encoded: of one encoder, each `text_hash` once.
        """
        late = late_hashes(self.read, self.wanted.late_recipes, given_chunks(self.read))
        distinct = late.select("text_hash", "late_hash").distinct()
        return distinct.join(encoded.withColumnRenamed("text_hash", "late_hash"), "late_hash")

    def sparse_vectors(self, among: "pa.Array[Any] | None" = None) -> pa.Table | None:
        """Learned sparse vectors of some texts, or of the live ones; None for an index without them."""
        encoder_id = self.wanted.sparse_encoder_id
        if encoder_id is None:
            return None
        if among is None:
            return self._live(SPARSE_EMBEDDINGS, encoder_id, SPARSE_VECTOR)
        rows = self._of_encoder(SPARSE_EMBEDDINGS, encoder_id, SPARSE_VECTOR)
        return self._rows(SPARSE_EMBEDDINGS, rows, among)

    def vectors_since(self, since: Manifest) -> pa.Table:
        """Vectors that were written since a version was built: `text_hash` and `vector`.

        Raises:
            WarehouseError: the engine has no feed of changes, or it does not reach so far back.
        """
        if not self._moved(EMBEDDINGS, since):
            return NO_VECTORS
        feed = self._changes(EMBEDDINGS, since).where(F.col("encoder_id") == self.wanted.encoder_id)
        return self.warehouse.arrow(EMBEDDINGS, feed.where("change != 'delete'").select(*VECTOR))

    def vectors_of(self, text_hashes: "pa.Array[Any]", new: pa.Table) -> pa.Table:
        """Vectors of some texts; the table is read only for those that are not among new ones."""
        new = new.filter(pc.is_in(new["text_hash"], value_set=text_hashes))
        rest = text_hashes.filter(pc.invert(pc.is_in(text_hashes, value_set=new["text_hash"])))
        if not len(rest):
            return new
        old = self._rows(EMBEDDINGS, self._of_encoder(EMBEDDINGS, self.wanted.encoder_id, VECTOR), rest)
        # A feed says of no column that it is never null, a table does.
        return pa.concat_tables([new, old.cast(new.schema)])

    def passages_since(self, since: Manifest) -> pa.Table:
        """Rows of the feed that tells what became of passages since a version was built.

        Raises:
            WarehouseError: the engine has no feed of changes, or it does not reach so far back.
        """
        return self.warehouse.arrow(CHUNKS, self._changes(CHUNKS, since))

    def moved_since(self, bundle: Bundle, rows: pa.Table) -> Moved:
        """What the feeds of changes tell about the time since a bundle was built.

        Args:
            rows: `passages_since` then.
        """
        since, passages = bundle.manifest, bundle.stored.chunks
        ids, hashes = passages["chunk_id"], passages["text_hash"]
        known: Any = pc.is_in(ids, value_set=rows["chunk_id"])
        columns = [rows["text_hash"], hashes.filter(known), self._described_since(since)]
        columns += [*self._replaced_since(since), *self._late_since(since)]
        touched: Any = pa.chunked_array([part for column in columns for part in column.chunks], pa.string())
        touched = touched.combine_chunks().unique()
        unsure: Any = hashes.filter(pc.and_not(pc.is_in(hashes, value_set=touched), known)).combine_chunks().unique()
        living = rows.filter(pc.field("live") & (pc.field("change") != "delete"))
        return Moved(touched, living.filter(pc.invert(pc.is_in(living["text_hash"], value_set=unsure))), unsure)

    def moved_source(self, moved: Moved) -> Source:
        """As `source`, of the texts that may have changed; of passages only those are read that no feed told."""
        if not len(moved.unsure):
            return self._source(moved.chunks.drop_columns(["change"]), moved.touched)
        read = self._rows(CHUNKS, self.read(CHUNKS).where("live"), moved.unsure)
        told = moved.chunks.select(read.column_names).cast(read.schema)
        return self._source(pa.concat_tables([read, told]), moved.touched)

    def _described_since(self, since: Manifest) -> "pa.ChunkedArray[Any]":
        """Texts of which a wanted feature came, changed or went, whether it is shown or encoded."""
        recipe_ids = [*self.wanted.recipe_ids, *self.wanted.late_recipes]
        if not (recipe_ids and self._moved(FEATURES, since)):
            return pa.chunked_array([], pa.string())
        written = self._changes(FEATURES, since).where(F.col("recipe_id").isin(recipe_ids))
        return self.warehouse.arrow(FEATURES, written.select("text_hash").distinct())["text_hash"]

    def _replaced_since(self, since: Manifest) -> "list[pa.ChunkedArray[Any]]":
        """Texts that were encoded again; new ones have come with their passages."""
        found = []
        for table, encoder_id in self._replaceable():
            own = self._changes(table, since).where(F.col("encoder_id") == encoder_id)
            replaced = own.where("change = 'update'").select("text_hash")
            found.append(self.warehouse.arrow(table, replaced)["text_hash"])
        return found

    def _late_since(self, since: Manifest) -> "list[pa.ChunkedArray[Any]]":
        """Texts of which a late query came, changed or went, or beside which something was encoded."""
        if not self.wanted.late_recipes:
            return []
        late = F.col("recipe_id").isin(list(self.wanted.late_recipes))
        asked = self._changes(SYNTHETIC_QUERIES, since).where(late)
        encoded = self._changes(EMBEDDINGS, since).where(F.col("encoder_id") == self.wanted.encoder_id)
        moved = asked.select("text_hash").unionAll(self._late_among(encoded.select("text_hash")).select("text_hash"))
        return [self.warehouse.arrow(EMBEDDINGS, moved.distinct())["text_hash"]]

    def _replaceable(self) -> list[tuple[Table, str]]:
        """Tables whose vectors may be replaced, each with the encoder_id of the wanted ones."""
        wanted = [(EMBEDDINGS, self.wanted.encoder_id), (SPARSE_EMBEDDINGS, self.wanted.sparse_encoder_id)]
        return [(table, encoder_id) for table, encoder_id in wanted if encoder_id and replaceable(encoder_id)]

    def _with_input_hashes(self, chunks: pa.Table, among: "pa.Array[Any] | None") -> pa.Table:
        """The passages with what their vectors were made of besides the text, where that may change."""
        told = [
            (table, self._of_encoder(table, encoder_id, ("text_hash", "input_hash")))
            for table, encoder_id in self._replaceable()
        ]
        if self.wanted.late_recipes:
            told.append((EMBEDDINGS, self._late_digests()))
        columns: list[Any] = []
        for table, frame in told:
            rows = self._rows(table, frame, among)
            places: Any = pc.index_in(chunks["text_hash"], value_set=rows["text_hash"])
            columns.append(rows["input_hash"].take(places))
        hashes = pc.binary_join_element_wise(*columns, " ", null_handling="replace") if columns else None
        return chunks if hashes is None else chunks.append_column(INPUT_HASHES, hashes)

    def _late_digests(self) -> DataFrame:
        """For each text, a digest of what is encoded by itself beside it and has a vector, as its `input_hash`."""
        late = self._late_among(self._of_encoder(EMBEDDINGS, self.wanted.encoder_id, ("text_hash",)))
        together = F.md5(F.concat_ws(",", F.sort_array(F.collect_list("late_hash"))))
        return late.groupBy("text_hash").agg(together.alias("input_hash"))

    def _moved(self, table: Table, since: Manifest) -> bool:
        """Whether a table has another version than a version of the index was built from."""
        return self.versions[table.name] > since.table_versions[table.name]

    def _changes(self, table: Table, since: Manifest) -> DataFrame:
        return self.warehouse.changes(table, since.table_versions[table.name], self.versions[table.name])

    def _live(self, table: Table, encoder_id: str, columns: tuple[str, ...]) -> pa.Table:
        live = self.read(CHUNKS).where("live").select("text_hash").distinct()
        vectors = self._of_encoder(table, encoder_id, columns)
        return self.warehouse.arrow(table, vectors.join(live, "text_hash", "left_semi"))

    def _of_encoder(self, table: Table, encoder_id: str, columns: tuple[str, ...]) -> DataFrame:
        return self.read(table).where(F.col("encoder_id") == encoder_id).select(*columns)

    def _rows(self, table: Table, frame: DataFrame, among: "pa.Array[Any] | None") -> pa.Table:
        if among is not None and not len(among):
            frame = frame.limit(0)
        elif among is not None:
            texts = self.warehouse.frame(pa.table({"text_hash": among}))
            frame = frame.join(F.broadcast(texts), "text_hash", "left_semi")
        return self.warehouse.arrow(table, frame)


def tables_of(wanted: Wanted) -> tuple[Table, ...]:
    """Tables that the rows of an index stand in."""
    sparse = [SPARSE_EMBEDDINGS] if wanted.sparse_encoder_id else []
    return (CHUNKS, EMBEDDINGS, FEATURES, *sparse, *([SYNTHETIC_QUERIES] if wanted.late_recipes else []))


def describable(features: pa.Table, chunks: pa.Table) -> pa.Table:
    """Features of the texts that some passage gives to language models."""
    if "withheld" not in chunks.column_names:  # a version of the table from before it had the column
        return features
    given = chunks.filter(pc.field("withheld").is_null() | ~pc.field("withheld"))
    return features.filter(pc.is_in(features["text_hash"], value_set=given["text_hash"].combine_chunks()))
