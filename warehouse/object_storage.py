"""Index versions and their pointer in object storage, with copies of the versions in a folder here.

A version's files lie under their checksums, so that none is ever replaced by another, and its manifest comes last: what
has no manifest is not there yet. What a version shares with its parent is copied inside the store, and not fetched
where a copy of it is here. The pointer is replaced by a put that holds only while it is what was read.

Credentials, region and endpoint are taken from the environment, as the stores' own tools do (AWS_ACCESS_KEY_ID,
AWS_REGION, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME and so on).
"""

import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import from_url

from schemas.cache import cache_folder
from schemas.errors import BundleError
from schemas.hashing import digest
from warehouse.durable import new_folder, share_file
from warehouse.manifest import MANIFEST, Manifest, StoredFile, parse_manifest, read_manifest, sha256_of
from warehouse.registry import (
    INDEXES,
    NO_SUCH_VERSION,
    POINTER,
    SECONDS_TO_PUBLISH,
    UNFINISHED,
    FolderRegistry,
    Kept,
    PointerMoved,
    Put,
)

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode, UpdateVersion
    from obstore.store import ObjectStore

SCHEMES = ("s3", "s3a", "gs", "az", "abfs", "abfss")
BYTES_PER_REQUEST = 32 * 1024 * 1024
REQUESTS_AT_ONCE = 8
MOST_COPIED = 5 * 1024**3  # bytes that S3 copies in one request
CONNECT_TIMEOUT, TIMEOUT = timedelta(seconds=10), timedelta(minutes=5)  # of one request, its body included
RETRIES = 4
REMEDY = (
    "See that the bucket is there and that the environment has its endpoint, region and credentials "
    "(AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY; AWS_ALLOW_HTTP=true for one without "
    "TLS), then run the same command again"
)


class Moved(NamedTuple):
    """Bytes of a version that went to the store, and those that were copied inside it."""

    sent: int
    copied: int


class ObjectRegistry:
    """See `warehouse.registry.Registry`.

    Args:
        root: URL of what stands above `indexes`.
        cache: folder in whose `indexes` the versions' copies lie, those of each root by themselves.

    Raises:
        BundleError: the URL is none of object storage.
    """

    def __init__(self, root: str, cache: Path) -> None:
        self.folder = cache / INDEXES / digest(root.rstrip("/"))
        self.address = f"{root.rstrip('/')}/{INDEXES}"
        self._copies = FolderRegistry(self.folder)
        self._store = _opened(self.address)

    def fetch(self, index_id: str) -> Path:
        """Folder of a version's copy, fetched where there is none yet; then copies of deleted versions go."""
        folder = self.folder / index_id
        if not folder.is_dir():
            try:
                with self._guarded("Nothing was fetched"):
                    self._download(index_id, folder)
            except OSError as error:
                raise BundleError(
                    f"the index version cannot be copied: {error.strerror or error}",
                    where=str(folder),
                    left_behind="Nothing was fetched",
                    remedy="Free some space, or set NIGHTJAR_CACHE to a folder that has some, and try again",
                ) from error
            self._forget_deleted()
        return folder

    def forget(self, index_id: str) -> bool:
        """See `Registry`."""
        self._copies.delete(index_id)
        return True

    def keep(self, index_id: str) -> Moved:
        """Upload what is missing of a version, the manifest last."""
        folder = self.folder / index_id
        manifest = read_manifest(folder)
        with self._guarded("Nothing was published and the live index serves on"):
            moved = self._upload(folder, manifest)
            obstore.put(self._store, f"{index_id}/{MANIFEST}", folder / MANIFEST)
        return moved

    def versions(self) -> dict[str, Kept]:
        """See `Registry`. A version is as old as the newest of its files."""
        written: defaultdict[str, list[datetime]] = defaultdict(list)
        whole = set()
        for found in self._listed():
            index_id, _, name = found["path"].rpartition("/")
            if index_id:
                written[index_id].append(found["last_modified"])
            if name == MANIFEST:
                whole.add(index_id)
        return {index_id: Kept(max(times).timestamp(), index_id in whole) for index_id, times in written.items()}

    def manifest(self, index_id: str) -> Manifest:
        """See `Registry`."""
        return self._parsed(index_id, self._read_manifest(index_id))

    def delete(self, index_id: str) -> None:
        """See `Registry`. The manifest goes first, so that what is left never looks whole."""
        names = sorted(self._sizes(index_id), key=lambda name: name != MANIFEST)
        with self._guarded():
            for name in names:
                obstore.delete(self._store, f"{index_id}/{name}")
        self._copies.delete(index_id)

    def pointer(self) -> bytes | None:
        """See `Registry`."""
        content = self._read(POINTER)
        if content is None:
            self.versions()  # an empty store answers with a list, one that is not there with an error
        return content

    @contextmanager
    def changing_pointer(self) -> Iterator[tuple[bytes | None, Put]]:
        """See `Registry`. Nobody waits: of several at once the first wins."""
        content, mode = self._read_to_replace()
        yield content, partial(self._replace, mode)

    def _upload(self, folder: Path, manifest: Manifest) -> Moved:
        there = self._sizes(manifest.index_id)
        at_parent = self._sizes(manifest.parent) if manifest.parent else {}
        sent = copied = 0
        for name, file in manifest.files.items():
            place = f"{manifest.index_id}/{file.sha256}"
            if there.get(file.sha256) == file.bytes:
                continue
            if at_parent.get(file.sha256) == file.bytes <= MOST_COPIED:
                obstore.copy(self._store, f"{manifest.parent}/{file.sha256}", place)
                copied += file.bytes
            else:
                obstore.put(self._store, place, folder / name)
                sent += file.bytes
        return Moved(sent, copied)

    def _download(self, index_id: str, folder: Path) -> None:
        content = self._read_manifest(index_id)
        manifest = self._parsed(index_id, content)
        self._refuse_incomplete(manifest)
        here = self._files_here()
        with new_folder(folder, UNFINISHED) as made:
            for name, file in manifest.files.items():
                known = here.get(file.sha256)
                if known and sha256_of(known) == file.sha256:
                    share_file(known, made / name)
                else:
                    self._fetch_file(f"{index_id}/{file.sha256}", file, made / name)
            (made / MANIFEST).write_bytes(content)

    def _refuse_incomplete(self, manifest: Manifest) -> None:
        """Before anything is fetched."""
        sizes = self._sizes(manifest.index_id)
        for name, file in manifest.files.items():
            found = sizes.get(file.sha256)
            if found != file.bytes:
                told = f"{name} is missing" if found is None else f"{name} has {found} bytes, not {file.bytes}"
                raise self._damaged(told, f"{manifest.index_id}/{file.sha256}")

    def _fetch_file(self, path: str, file: StoredFile, place: Path) -> None:
        """Fetch a file in parts, and refuse it unless it is the manifest's."""

        def fetch_part(start: int) -> None:
            end = min(start + BYTES_PER_REQUEST, file.bytes)
            content = obstore.get_range(self._store, path, start=start, end=end)
            with place.open("r+b") as target:
                target.seek(start)
                target.write(content)

        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            list(pool.map(fetch_part, range(0, file.bytes, BYTES_PER_REQUEST)))
        if sha256_of(place) != file.sha256:
            raise self._damaged("its checksum is not the manifest's", path)

    def _damaged(self, what: str, path: str) -> BundleError:
        return BundleError(
            what,
            where=f"{self.address}/{path}",
            left_behind="Nothing was fetched",
            remedy="Delete the file there, if it is still there, and run nightjar publish CORPUS INDEX_ID where the "
            "version was built; or go back to another one: nightjar rollback CORPUS",
        )

    def _files_here(self) -> dict[str, Path]:
        """Files of the copies, by the checksums that their manifests name; of one with a damaged manifest none."""
        here: dict[str, Path] = {}
        for index_id, kept in self._copies.versions().items():
            if kept.whole:
                with suppress(BundleError):
                    files = self._copies.manifest(index_id).files
                    here |= {file.sha256: self.folder / index_id / name for name, file in files.items()}
        return {checksum: path for checksum, path in here.items() if path.is_file()}

    def _forget_deleted(self) -> None:
        """Delete copies of versions that the store has no more, and what killed downloads left."""
        stored, recently = self.versions(), time.time() - SECONDS_TO_PUBLISH
        for name, kept in self._copies.versions().items():
            if name not in stored and kept.written < recently:
                self._copies.delete(name)

    def _sizes(self, index_id: str) -> dict[str, int]:
        """Bytes of a version's files in the store, by their checksums, and of its manifest."""
        return {Path(found["path"]).name: found["size"] for found in self._listed(f"{index_id}/")}

    def _listed(self, prefix: str | None = None) -> "list[ObjectMeta]":
        with self._guarded():
            return [found for page in obstore.list(self._store, prefix) for found in page]

    def _read_manifest(self, index_id: str) -> bytes:
        content = self._read(f"{index_id}/{MANIFEST}")
        if content is None:
            where = f"{self.address}/{index_id}"
            raise BundleError(NO_SUCH_VERSION, where=where, remedy="See nightjar indexes CORPUS")
        return content

    def _parsed(self, index_id: str, content: bytes) -> Manifest:
        return parse_manifest(content, f"{self.address}/{index_id}/{MANIFEST}")

    def _read(self, path: str) -> bytes | None:
        with self._guarded():
            try:
                return bytes(obstore.get(self._store, path).bytes())
            except FileNotFoundError:
                return None

    def _read_to_replace(self) -> "tuple[bytes | None, PutMode]":
        """The pointer, and how a put says that it must still be this one."""
        with self._guarded():
            try:
                found = obstore.get(self._store, POINTER)
            except FileNotFoundError:
                return None, "create"
            tag: UpdateVersion = {}
            if found.meta["e_tag"]:
                tag["e_tag"] = found.meta["e_tag"]
            if found.meta["version"]:
                tag["version"] = found.meta["version"]
            return bytes(found.bytes()), tag

    def _replace(self, mode: "PutMode", content: bytes) -> None:
        with self._guarded("The live index serves on"):
            try:
                obstore.put(self._store, POINTER, content, mode=mode)
            except (AlreadyExistsError, PreconditionError) as error:
                # A put that was tried again, because its answer was lost, meets what it has itself put there.
                if self._read(POINTER) != content:
                    raise PointerMoved from error

    @contextmanager
    def _guarded(self, left_behind: str = "") -> Iterator[None]:
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise BundleError(
                f"the object store refused or did not answer: {_told(error)}",
                where=self.address,
                left_behind=left_behind,
                remedy=REMEDY,
            ) from error


@cache
def object_registry(root: str) -> ObjectRegistry:
    """The registry under a URL of object storage; one for all, so that connections are kept.

    Raises:
        BundleError: the URL is of something else.
    """
    return ObjectRegistry(root, cache_folder())


def _opened(address: str) -> "ObjectStore":
    """The store, not asked for anything yet."""
    plain = any(os.environ.get(f"{name}_ALLOW_HTTP") == "true" for name in ("AWS", "AZURE", "GOOGLE"))
    try:
        if urlsplit(address).scheme in SCHEMES:
            return from_url(
                address,
                client_options={"connect_timeout": CONNECT_TIMEOUT, "timeout": TIMEOUT, "allow_http": plain},
                retry_config={"max_retries": RETRIES},
            )
    except (BaseError, ValueError) as error:
        raise _no_store(address, _told(error)) from error
    raise _no_store(address, "index versions are kept in a folder or in object storage")


def _told(error: Exception) -> str:
    """What went wrong in one line, with the code that a store has for it."""
    line, _, rest = str(error).partition("\n")
    code = re.search(r"<Code>(\w+)</Code>", rest)
    return f"{line.partition(': <?xml')[0].strip()}{f' ({code[1]})' if code else ''}"


def _no_store(address: str, what: str) -> BundleError:
    return BundleError(
        what,
        where=address,
        remedy=f"Set `store` under [index] in the corpus file to a folder or a URL of {', '.join(SCHEMES)}",
    )
