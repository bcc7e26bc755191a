"""Index versions in Milvus: one collection a version, and an alias that leads to the live one.

The pointer stays the one truth about what is live, and Milvus follows it: what has passed the gates here is uploaded,
and the alias is switched in one step, forwards after a publication and backwards after a rollback.
"""

import logging
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from schemas.errors import BundleError
from warehouse.bundle import Bundle, open_version
from warehouse.pointer import Pointer, read_pointer

if TYPE_CHECKING:
    from pymilvus.milvus_client.index import IndexParams
    from pymilvus.orm.schema import CollectionSchema

ROWS_PER_UPLOAD = 500
LONGEST_TEXT = 65_535  # bytes that Milvus takes in one field
FIELDS = ("chunk_id", "doc_id", "url", "heading_path", "text", "kind", "licence", "ds")


class Milvus:
    """A Milvus server, or a file that milvus-lite keeps.

    Args:
        uri: `http://host:19530`, or the path of a file that ends in `.db`.
        alias: name that the live version is searched by; collections are named after it and their version.

    Raises:
        BundleError: it does not answer.
    """

    def __init__(self, uri: str, alias: str, token: str = "") -> None:
        self.alias = alias
        self._uri = uri
        # What goes wrong is told once, by our own error.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        with self._guarded():
            from pymilvus import MilvusClient

            self._client: MilvusClient = MilvusClient(uri, token=token)

    def follow(self, bundle: Bundle, keep: Collection[str]) -> int:
        """Have the alias lead to a collection with the bundle's passages, and drop those of versions not kept.

        A collection that a killed upload left unfinished is made anew. Nothing is done where all is as it should be.

        Args:
            keep: index_ids whose collections stay, if they are there, for going back to.

        Returns:
            Passages uploaded; 0 where the collection was there already.

        Raises:
            BundleError: Milvus does not answer, or refuses something.
        """
        name = self._collection(bundle.manifest.index_id)
        with self._guarded():
            uploaded = 0 if self._is_whole(name, bundle) else self._upload(name, bundle)
            self._lead_to(name)
            kept = {name, *map(self._collection, keep)}
            for other in self.collections():
                if other not in kept:
                    self._client.drop_collection(other)
        return uploaded

    def collections(self) -> list[str]:
        """Collections of this corpus' versions, finished or not."""
        versions = re.compile(rf"{re.escape(self.alias)}_[0-9a-f]{{32}}")
        return sorted(name for name in self._client.list_collections() if versions.fullmatch(name))

    def close(self) -> None:
        """Let go of the connection, or of milvus-lite's file."""
        self._client.close()

    def _collection(self, index_id: str) -> str:
        return f"{self.alias}_{index_id}"

    def _is_whole(self, name: str, bundle: Bundle) -> bool:
        """A version never changes, so that as many passages are the same passages."""
        if not self._client.has_collection(name):
            return False
        counted = self._client.query(name, output_fields=["count(*)"])
        return bool(counted[0]["count(*)"] == bundle.manifest.chunks)

    def _upload(self, name: str, bundle: Bundle) -> int:
        self._client.drop_collection(name)
        schema, index = _declared(bundle.manifest.dimension)
        self._client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")
        return sum(self._client.insert(name, rows)["insert_count"] for rows in _batches(bundle))

    def _lead_to(self, name: str) -> None:
        led_to = next((each for each in self.collections() if self._leads_to(each)), None)
        if led_to is None:
            self._client.create_alias(name, self.alias)
        elif led_to != name:
            self._client.alter_alias(name, self.alias)

    def _leads_to(self, name: str) -> bool:
        aliases: Any = self._client.list_aliases(name)
        return self.alias in aliases["aliases"]

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except MilvusException as error:
            raise BundleError(
                f"Milvus: {error.message}",
                where=self._uri,
                left_behind="The index here serves on, and the alias leads where it last led",
                remedy="Run nightjar publish CORPUS again, or wait for the next night: what is missing is made up for",
            ) from error


def follow_live(root: str | Path, keep: int, open_milvus: Callable[[], Milvus]) -> int:
    """Bring Milvus into line with the pointer.

    Args:
        keep: published versions kept, the live one among them.
        open_milvus: connects; not called where nothing is live.

    Returns:
        Passages uploaded.

    Raises:
        BundleError: the live bundle is damaged, or Milvus does not answer.
    """
    pointer = read_pointer(root)
    if pointer is None:
        return 0
    milvus = open_milvus()
    try:
        return _follow(milvus, root, keep, pointer)
    finally:
        milvus.close()


def _follow(milvus: Milvus, root: str | Path, keep: int, pointer: Pointer) -> int:
    bundle = open_version(root, pointer.index_id, verify=False)
    uploaded = milvus.follow(bundle, pointer.previous[: keep - 1])
    now = read_pointer(root)  # it may have moved during a long upload
    return uploaded if now is None or now == pointer else uploaded + _follow(milvus, root, keep, now)


def _declared(dimension: int) -> "tuple[CollectionSchema, IndexParams]":
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    for name in FIELDS:
        schema.add_field(name, DataType.VARCHAR, max_length=LONGEST_TEXT, is_primary=name == "chunk_id")
    schema.add_field("start", DataType.INT64)
    schema.add_field("end", DataType.INT64)
    schema.add_field("features", DataType.JSON)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
    return schema, index


def _batches(bundle: Bundle) -> Iterator[list[dict[str, Any]]]:
    for batch in bundle.stored.chunks.to_batches(max_chunksize=ROWS_PER_UPLOAD):
        yield _entities(bundle, pa.Table.from_batches([batch]))


def _entities(bundle: Bundle, passages: pa.Table) -> list[dict[str, Any]]:
    """Passages as Milvus takes them: with vector and features, and empty where a page says nothing."""
    stored = bundle.stored
    numbers = stored.numbers(passages["text_hash"])
    vectors = bundle.dense.vectors(numbers)
    features = {name: stored.features(numbers.tolist(), name) for name in stored.feature_names}
    rows = []
    for position, passage in enumerate(passages.to_pylist()):
        said = {**passage, "heading_path": " > ".join(passage["heading_path"])}
        row: dict[str, Any] = {name: _fitting(said.get(name) or "") for name in FIELDS}
        row["features"] = {name: texts[position] for name, texts in features.items() if texts[position]}
        rows.append(row | {"start": passage["start"], "end": passage["end"], "vector": vectors[position]})
    return rows


def _fitting(text: str) -> str:
    """The text, cut where Milvus would refuse it."""
    return text.encode()[:LONGEST_TEXT].decode(errors="ignore")
