"""The pointer: one small file that says which index version is live. It changes in one step or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import BundleError, UnknownName
from warehouse.bundle import open_version
from warehouse.registry import INDEXES, POINTER, PointerMoved, Put, registry_of

MOST_PREVIOUS = 100


class Pointer(BaseModel):
    """Which index version is live.

    Attributes:
        path: of its bundle, relative to the root.
        published_at: when it went live, ISO 8601 in UTC.
        previous: versions that were live before and can be rolled back to, latest first.
        withdrawn: versions that were rolled back from; a refresh does not publish them again by itself.
    """

    model_config = ConfigDict(frozen=True)

    index_id: str = Field(pattern=r"^[\w-]+$")
    path: str
    published_at: str
    previous: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()


def read_pointer(root: str | Path) -> Pointer | None:
    """The pointer under a warehouse's root; None where nothing is published yet.

    Raises:
        BundleError: the file is there and is not a pointer.
    """
    try:
        return _parsed(root, registry_of(root).pointer())
    except OSError as error:
        raise _unreadable(root) from error


def swap_pointer(root: str | Path, index_id: str, *, expected: str | None) -> Pointer:
    """Make an index version the live one. Nothing changes where it is already.

    Args:
        expected: index_id that the caller believes to be live; None for none.

    Raises:
        BundleError: another version went live meanwhile, or the pointer cannot be written.
    """
    with _changing(root) as (live, put):
        if live and live.index_id == index_id:
            return live
        if (live.index_id if live else None) != expected:
            raise _lost(root, live, expected)
        previous = _without((live.index_id, *live.previous), index_id) if live else ()
        withdrawn = _without(live.withdrawn, index_id) if live else ()
        return _put(put, index_id, previous[:MOST_PREVIOUS], withdrawn)


def publish_bundle(root: str | Path, index_id: str, encoder_id: str, *, expected: str | None) -> Pointer:
    """Make an index version the live one after every byte of its bundle was checked.

    Args:
        encoder_id: encoder that queries are asked with.
        expected: as in `swap_pointer`.

    Raises:
        BundleError: the bundle is missing, damaged or of another encoder, or another version went live meanwhile.
    """
    open_version(root, index_id, verify=True).refuse_other_encoder(encoder_id)
    registry_of(root).keep(index_id)
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
    with _changing(root) as (live, put):
        if live is None:
            raise _nothing(root)
        target = _earlier(live, index_id)
        bundle = open_version(root, target, verify=True)
        if encoder_id is not None:
            bundle.refuse_other_encoder(encoder_id)
        position = live.previous.index(target)
        withdrawn = (live.index_id, *live.previous[:position], *live.withdrawn)
        return _put(put, target, live.previous[position + 1 :], _without(withdrawn, target)[:MOST_PREVIOUS])


def live_pointer(root: str | Path) -> Pointer:
    """The pointer.

    Raises:
        BundleError: nothing is published yet.
    """
    pointer = read_pointer(root)
    if pointer is None:
        raise _nothing(root)
    return pointer


@contextmanager
def _changing(root: str | Path) -> Iterator[tuple[Pointer | None, Put]]:
    """The pointer, and what replaces it as long as it is this one."""
    live = None
    try:
        with registry_of(root).changing_pointer() as (content, put):
            live = _parsed(root, content)
            yield live, put
    except PointerMoved as error:
        now = read_pointer(root)
        raise _lost(root, now, live.index_id if live else None) from error
    except OSError as error:
        raise BundleError(
            f"the pointer to the live index cannot be replaced: {error.strerror or error}",
            where=_address(root),
            left_behind="The live index serves on",
            remedy="Free some space or give this user the right to write there, and run the same command again",
        ) from error


def _lost(root: str | Path, found: Pointer | None, expected: str | None) -> BundleError:
    live = found.index_id if found else "nothing"
    return BundleError(
        f"another run published {live} while this one expected {expected or 'nothing'} to be live",
        where=_address(root),
        left_behind="The version built here is kept, unpublished",
        remedy="Run the same command again: it starts from what is live now",
    )


def _nothing(root: str | Path) -> BundleError:
    return BundleError("nothing is published yet", where=str(root), remedy="Publish one: nightjar nightly CORPUS")


def _address(root: str | Path) -> str:
    return f"{registry_of(root).address}/{POINTER}"


def _parsed(root: str | Path, content: bytes | None) -> Pointer | None:
    try:
        return None if content is None else Pointer.model_validate_json(content)
    except ValidationError as error:
        raise _unreadable(root) from error


def _unreadable(root: str | Path) -> BundleError:
    return BundleError(
        "the pointer to the live index is not readable",
        where=_address(root),
        remedy="Delete the file and publish again: nightjar nightly CORPUS",
    )


def _earlier(live: Pointer, index_id: str | None) -> str:
    if index_id is None and not live.previous:
        raise BundleError(f"{live.index_id} is live and there is no version before it", remedy="Nothing was changed")
    target = index_id or live.previous[0]
    if target not in live.previous:
        raise UnknownName("earlier index version", target, live.previous)
    return target


def _put(put: Put, index_id: str, previous: tuple[str, ...], withdrawn: tuple[str, ...]) -> Pointer:
    pointer = Pointer(
        index_id=index_id,
        path=f"{INDEXES}/{index_id}",
        published_at=datetime.now(UTC).isoformat(timespec="seconds"),
        previous=previous,
        withdrawn=withdrawn,
    )
    put((pointer.model_dump_json(indent=1) + "\n").encode())
    return pointer


def _without(index_ids: tuple[str, ...], index_id: str) -> tuple[str, ...]:
    return tuple(other for other in dict.fromkeys(index_ids) if other != index_id)
