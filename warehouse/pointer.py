"""The pointer: one small file that says which index version is live. It changes in one step or not at all.

Local file system now. The two operations are what object storage offers too: a read, and a put that succeeds only
where the pointer still is what the caller read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.errors import BundleError, UnknownName
from warehouse.bundle import indexes_folder, open_bundle
from warehouse.durable import only_one, replace_file

POINTER = "live.json"
LOCK = ".live.lock"
MOST_PREVIOUS = 100


class Pointer(BaseModel):
    """Which index version is live.

    Attributes:
        path: of its bundle, relative to the warehouse's root.
        published_at: when it went live, ISO 8601 in UTC.
        previous: versions that were live before and can be rolled back to, latest first.
        withdrawn: versions that were rolled back from; a refresh does not publish them again by itself.
    """

    model_config = ConfigDict(frozen=True)

    index_id: str
    path: str
    published_at: str
    previous: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()


def read_pointer(root: str | Path) -> Pointer | None:
    """The pointer under a warehouse's root; None where nothing is published yet.

    Raises:
        BundleError: the file is there and is not a pointer.
    """
    path = indexes_folder(root) / POINTER
    try:
        return Pointer.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise BundleError(
            "the pointer to the live index is not readable",
            where=str(path),
            remedy="Delete the file and publish again: nightjar nightly CORPUS",
        ) from error


def swap_pointer(root: str | Path, index_id: str, *, expected: str | None) -> Pointer:
    """Make an index version the live one. Nothing changes where it is already.

    Args:
        expected: index_id that the caller believes to be live; None for none.

    Raises:
        BundleError: another version went live meanwhile, or the pointer cannot be written.
    """
    with _changing(root):
        live = read_pointer(root)
        if live and live.index_id == index_id:
            return live
        _refuse_unless(expected, live, root)
        previous = _without((live.index_id, *live.previous), index_id) if live else ()
        withdrawn = _without(live.withdrawn, index_id) if live else ()
        return _put(root, index_id, previous[:MOST_PREVIOUS], withdrawn)


def publish_bundle(root: str | Path, index_id: str, encoder_id: str, *, expected: str | None) -> Pointer:
    """Make an index version the live one after every byte of its bundle was checked.

    Args:
        encoder_id: encoder that queries are asked with.
        expected: as in `swap_pointer`.

    Raises:
        BundleError: the bundle is missing, damaged or of another encoder, or another version went live meanwhile.
    """
    open_bundle(indexes_folder(root) / index_id, verify=True).refuse_other_encoder(encoder_id)
    return swap_pointer(root, index_id, expected=expected)


def roll_back(root: str | Path, index_id: str | None = None, *, encoder_id: str | None = None) -> Pointer:
    """Make an earlier version live again; what was live after it counts as withdrawn.

    Args:
        index_id: version to go back to; the one before the live one when left out.
        encoder_id: encoder that queries are asked with; not compared when left out.

    Raises:
        BundleError: nothing is published, there is no such earlier version, or its bundle is damaged or of another
            encoder.
    """
    with _changing(root):
        live = live_pointer(root)
        target = _earlier(live, index_id)
        bundle = open_bundle(indexes_folder(root) / target, verify=True)
        if encoder_id is not None:
            bundle.refuse_other_encoder(encoder_id)
        position = live.previous.index(target)
        withdrawn = (live.index_id, *live.previous[:position], *live.withdrawn)
        return _put(root, target, live.previous[position + 1 :], _without(withdrawn, target)[:MOST_PREVIOUS])


def live_pointer(root: str | Path) -> Pointer:
    """The pointer.

    Raises:
        BundleError: nothing is published yet.
    """
    pointer = read_pointer(root)
    if pointer is None:
        raise BundleError("nothing is published yet", where=str(root), remedy="Publish one: nightjar nightly CORPUS")
    return pointer


@contextmanager
def _changing(root: str | Path) -> Iterator[None]:
    folder = indexes_folder(root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with only_one(folder / LOCK):
            yield
    except OSError as error:
        raise BundleError(
            f"the pointer to the live index cannot be written: {error.strerror or error}",
            where=str(folder / POINTER),
            left_behind="The live index serves on",
            remedy="Free some space or give this user the right to write there, and run the same command again",
        ) from error


def _refuse_unless(expected: str | None, live: Pointer | None, root: str | Path) -> None:
    found = live.index_id if live else None
    if found != expected:
        raise BundleError(
            f"another run published {found or 'nothing'} while this one expected {expected or 'nothing'} to be live",
            where=str(indexes_folder(root) / POINTER),
            left_behind="The version built here is kept, unpublished",
            remedy="Run the same command again: it starts from what is live now",
        )


def _earlier(live: Pointer, index_id: str | None) -> str:
    if index_id is None and not live.previous:
        raise BundleError(f"{live.index_id} is live and there is no version before it", remedy="Nothing was changed")
    target = index_id or live.previous[0]
    if target not in live.previous:
        raise UnknownName("earlier index version", target, live.previous)
    return target


def _put(root: str | Path, index_id: str, previous: tuple[str, ...], withdrawn: tuple[str, ...]) -> Pointer:
    folder = indexes_folder(root)
    pointer = Pointer(
        index_id=index_id,
        path=(folder / index_id).relative_to(root).as_posix(),
        published_at=datetime.now(UTC).isoformat(timespec="seconds"),
        previous=previous,
        withdrawn=withdrawn,
    )
    replace_file(folder / POINTER, (pointer.model_dump_json(indent=1) + "\n").encode())
    return pointer


def _without(index_ids: tuple[str, ...], index_id: str) -> tuple[str, ...]:
    return tuple(other for other in dict.fromkeys(index_ids) if other != index_id)
