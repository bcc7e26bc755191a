"""Where the index versions of a corpus are kept, and which of them is live: a folder, or object storage.

Bundles are memory-mapped, so that those in object storage have a copy in a folder here as well.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Protocol

from schemas.errors import BundleError
from warehouse.durable import only_one, replace_file
from warehouse.manifest import MANIFEST, Manifest, read_manifest

INDEXES = "indexes"
POINTER = "live.json"
LOCK = ".live.lock"
UNFINISHED = "building-"
NO_SUCH_VERSION = "there is no such index version"
# A build that takes longer was killed, and a version that is older unpublished was given up.
SECONDS_TO_PUBLISH = 24 * 3600

Put = Callable[[bytes], None]


@dataclass(frozen=True)
class Kept:
    """A version, or what an unfinished one left.

    Attributes:
        written: when, in seconds since 1970.
        whole: whether all of it was written.
    """

    written: float
    whole: bool


class PointerMoved(Exception):
    """Somebody else changed the pointer since it was read."""


class Registry(Protocol):
    """Keeps the versions and the pointer under one root.

    Attributes:
        folder: where versions are opened, and new ones written.
        address: of the versions, for people.
    """

    folder: Path
    address: str

    def fetch(self, index_id: str) -> Path:
        """Folder of a version, which is whole as far as its copying goes.

        Raises:
            BundleError: there is no such version, or it cannot be read.
        """

    def forget(self, index_id: str) -> bool:
        """Forget the copy of a version that is kept elsewhere. False where there is nothing but the version itself."""

    def keep(self, index_id: str) -> object:
        """Have a version that was written into the folder last, and be there for others.

        Raises:
            BundleError: it cannot be written.
        """

    def versions(self) -> Mapping[str, Kept]:
        """By index_id, or by the name of what is unfinished."""

    def manifest(self, index_id: str) -> Manifest:
        """Of a version, without its files.

        Raises:
            BundleError: it has none, or it is not readable.
        """

    def delete(self, index_id: str) -> None:
        """Delete a version, or what is left of one."""

    def pointer(self) -> bytes | None:
        """The pointer's content; None where there is none yet.

        Raises:
            OSError: it cannot be read.
        """

    def changing_pointer(self) -> AbstractContextManager[tuple[bytes | None, Put]]:
        """The pointer's content, and what replaces it.

        Raises:
            PointerMoved: on replacing it, where somebody else has meanwhile.
            OSError: it cannot be read or written.
        """


class FolderRegistry:
    """Versions and pointer in a folder that every process shares."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = str(folder)

    def fetch(self, index_id: str) -> Path:
        """See `Registry`."""
        folder = self.folder / index_id
        if not folder.is_dir():
            raise BundleError(NO_SUCH_VERSION, where=str(folder), remedy="See nightjar indexes CORPUS")
        return folder

    def forget(self, index_id: str) -> bool:  # noqa: ARG002
        """There are no copies."""
        return False

    def keep(self, index_id: str) -> None:
        """It is in its place already."""

    def versions(self) -> dict[str, Kept]:
        """See `Registry`."""
        folders = sorted(path for path in self.folder.glob("*") if path.is_dir())
        return {path.name: Kept(path.stat().st_mtime, (path / MANIFEST).exists()) for path in folders}

    def manifest(self, index_id: str) -> Manifest:
        """See `Registry`."""
        return read_manifest(self.folder / index_id)

    def delete(self, index_id: str) -> None:
        """See `Registry`."""
        rmtree(self.folder / index_id, ignore_errors=True)

    def pointer(self) -> bytes | None:
        """See `Registry`."""
        try:
            return (self.folder / POINTER).read_bytes()
        except FileNotFoundError:
            return None

    @contextmanager
    def changing_pointer(self) -> Iterator[tuple[bytes | None, Put]]:
        """See `Registry`. Others wait, so that it never moves meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with only_one(self.folder / LOCK):
            yield self.pointer(), partial(replace_file, self.folder / POINTER)


def registry_of(root: str | Path) -> Registry:
    """The registry under a root: `ROOT/indexes`.

    Args:
        root: a folder, or a URL of object storage such as s3://BUCKET/PREFIX.

    Raises:
        BundleError: the URL is none of object storage.
    """
    if "://" not in str(root):
        return FolderRegistry(Path(root) / INDEXES)
    # Few need it, and its import is not free.
    from warehouse.object_storage import object_registry

    return object_registry(str(root))


def manifests(root: str | Path) -> list[Manifest]:
    """Manifests of the index versions that are kept, by their index_id.

    Raises:
        BundleError: one of them is not readable.
    """
    registry = registry_of(root)
    return [registry.manifest(index_id) for index_id, kept in sorted(registry.versions().items()) if kept.whole]
