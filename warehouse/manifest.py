"""The manifest of an index bundle: what it was built from, how, and the checksum of every file."""

import hashlib
import json
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import BundleError, DamagedBundle

# 1 kept finished BM25 scores, as bm25s writes them; 2 knew one vector a text.
FORMAT = 3
MANIFEST = "manifest.json"
LIBRARIES = ("bm25s", "faiss-cpu", "numpy", "pyarrow", "PyStemmer", "scipy")
REBUILD = "Roll back to another version, or build this one again: nightjar nightly CORPUS"


class Frozen(BaseModel):
    """Base of the manifest's parts: immutable, and nothing in it that this version of Nightjar does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Parameters(Frozen):
    """What can be chosen about an index.

    Attributes:
        dense: kind of the dense index; flat compares a query with every vector, and auto is flat below a size.
        flat_below: that size, in texts.
        min_recall: share of the exact ten nearest that an approximate index must find.
        k1: term frequency saturation of BM25.
        b: length normalisation of BM25.
        stemmer: Snowball stemmer that documents and queries go through.
    """

    dense: Literal["auto", "flat", "ivf", "hnsw"] = "auto"
    flat_below: int = 200_000
    min_recall: float = 0.95
    k1: float = 1.5
    b: float = 0.75
    stemmer: str = "english"


class Dense(Frozen):
    """What the dense index of a bundle's first segment is; later segments are flat.

    Attributes:
        kind: flat, ivf or hnsw.
        search: lists that a search looks into (ivf), or its breadth (hnsw); 0 for flat.
        recall: share of the exact ten nearest that it found of a sample when it was built.
    """

    kind: str = "flat"
    search: int = 0
    recall: float = 1.0


# A manifest from elsewhere names no place outside its bundle.
InBundle = Annotated[str, Field(pattern=r"^[\w-][\w.-]*(/[\w-][\w.-]*)*$")]


class StoredFile(Frozen):
    """One file of a bundle."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(Frozen):
    """Everything needed to build a bundle again and to tell whether it is whole.

    Holds no time and no path: the same inputs give the same manifest.

    Attributes:
        index_id: fingerprint of the content and the parameters.
        dimension: length of a vector.
        table_versions: Delta version of each table it was built from.
        recipes: recipe_ids whose rows are in the bundle, by feature.
        chunks: passages in it.
        texts: distinct texts among them; each has one vector and one lexical entry.
        features: feature rows in it.
        files: by path inside the bundle.
        libraries: versions that built it; other ones may write other bytes for the same content.
        dense: what its dense index is.
        content: of its rows, as `warehouse.content` adds it up, in hexadecimal digits.
        sparse_encoder_id: encoder of the learned sparse vectors; None for a bundle without them.
        asked_recipes: recipe_ids whose rows it was to have, also where there were none.
        late_recipes: recipe_ids of what was encoded by itself beside the texts.
        segments: texts in each segment, dead ones among them; the first lies in the bundle's own folder.
        dead: texts that changed or are gone since their segment was written. `texts`, `chunks` and `features` are
            without them.
        parent: index version that the first segments are shared with; None where all was written at once.
        changed: texts that came, changed or went since the parent.
    """

    format: int = FORMAT
    index_id: str
    encoder_id: str
    dimension: int
    table_versions: dict[str, int]
    parameters: Parameters
    recipes: dict[str, tuple[str, ...]]
    chunks: int
    texts: int
    features: int
    files: dict[InBundle, StoredFile]
    libraries: dict[str, str]
    dense: Dense = Dense()
    content: str = ""
    sparse_encoder_id: str | None = None
    asked_recipes: tuple[str, ...] = ()
    late_recipes: tuple[str, ...] = ()
    segments: tuple[int, ...] = ()
    dead: int = 0
    parent: str | None = None
    changed: int = 0

    def write(self, folder: Path) -> None:
        """Write the manifest into a bundle's folder."""
        (folder / MANIFEST).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Wanted:
    """Which rows go into an index, and how it is built.

    Attributes:
        encoder_id: of its vectors.
        recipe_ids: of its features, sorted.
        sparse_encoder_id: of its learned sparse vectors; None for an index without them.
        parameters: of its parts.
        late_recipes: recipe_ids of what is encoded by itself, sorted.
    """

    encoder_id: str
    recipe_ids: tuple[str, ...]
    sparse_encoder_id: str | None = None
    parameters: Parameters = field(default_factory=Parameters)
    late_recipes: tuple[str, ...] = ()

    @classmethod
    def of(cls, manifest: Manifest) -> "Wanted":
        """What went into a version."""
        written = [recipe_id for recipe_ids in manifest.recipes.values() for recipe_id in recipe_ids]
        recipe_ids = tuple(sorted({*manifest.asked_recipes, *written}))
        return cls(
            manifest.encoder_id, recipe_ids, manifest.sparse_encoder_id, manifest.parameters, manifest.late_recipes
        )


def differing_files(one: Manifest, other: Manifest) -> list[str]:
    """Files whose bytes two bundles do not share, among them those that only one has; sorted.

    Empty for a bundle and the one built again from its table versions, recipes, encoder and parameters.
    """
    names = one.files.keys() | other.files.keys()
    return sorted(name for name in names if one.files.get(name) != other.files.get(name))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle.

    Raises:
        BundleError: there is none, it is not readable, or a newer Nightjar wrote it.
    """
    path = folder / MANIFEST
    try:
        return parse_manifest(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise DamagedBundle("the bundle has no manifest", where=str(folder), remedy=REBUILD) from error
    except OSError as error:
        raise _unreadable(str(path)) from error


def parse_manifest(content: bytes, where: str) -> Manifest:
    """The manifest that a file holds.

    Raises:
        BundleError: it is none, or a newer Nightjar wrote it.
    """
    try:
        parsed = json.loads(content)
        _refuse_newer(parsed, where)
        return Manifest.model_validate(parsed)
    except (ValueError, ValidationError) as error:
        raise _unreadable(where) from error


def stored_files(folder: Path, without: Container[str] = ()) -> dict[str, StoredFile]:
    """Every file of a bundle but its manifest, in the order of their paths.

    Args:
        without: paths inside the bundle that are left out.
    """
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name: StoredFile(bytes=path.stat().st_size, sha256=sha256_of(path))
        for name, path in paths.items()
        if name != MANIFEST and name not in without
    }


def check_files(folder: Path, manifest: Manifest, *, verify: bool) -> None:
    """Compare a bundle's files with its manifest: presence and size, and with `verify` every checksum.

    Raises:
        BundleError: naming the first file that is missing or differs.
    """
    for name, stored in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise DamagedBundle("the file is missing from the bundle", where=str(path), remedy=REBUILD)
        size = path.stat().st_size
        if size != stored.bytes:
            raise DamagedBundle(f"the file has {size} bytes, not {stored.bytes}", where=str(path), remedy=REBUILD)
        if verify and sha256_of(path) != stored.sha256:
            raise DamagedBundle("the file's checksum is not the manifest's", where=str(path), remedy=REBUILD)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def library_versions(names: Iterable[str] = LIBRARIES) -> dict[str, str]:
    """Installed versions of the libraries that write a bundle's files."""
    return {name: version(name) for name in names}


def _unreadable(where: str) -> DamagedBundle:
    return DamagedBundle("the bundle's manifest is not readable", where=where, remedy=REBUILD)


def _refuse_newer(content: object, where: str) -> None:
    found = content["format"] if isinstance(content, dict) and "format" in content else None
    if isinstance(found, int) and found > FORMAT:
        raise BundleError(
            f"the bundle has format {found} and this Nightjar reads up to {FORMAT}",
            where=where,
            remedy="Update Nightjar, or roll back to an older index version",
        )
