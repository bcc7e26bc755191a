"""Files and folders that appear whole or not at all, and stay after a power cut."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in place of the file in one step: readers see the old bytes or the new ones."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextmanager
def new_folder(folder: Path, prefix: str) -> Iterator[Path]:
    """A folder to write into that stands in its place once all went well, and nowhere otherwise.

    Args:
        prefix: begins the name of the scratch folder beside it; a kill leaves that one.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=prefix) as scratch:
        made = Path(scratch) / folder.name
        made.mkdir()
        yield made
        put_folder(made, folder)


def put_folder(made: Path, folder: Path) -> bool:
    """Rename a finished folder into place. Returns False where another process put one there first."""
    for path in made.rglob("*"):
        sync(path)
    sync(made)
    try:
        made.rename(folder)
    except OSError:
        if folder.is_dir():
            return False
        raise
    sync(folder.parent)
    return True


def share_file(path: Path, place: Path) -> None:
    """Put the file at another place as well; where the disk has no hard links, a copy of it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, place)
    except OSError:
        shutil.copyfile(path, place)


def sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold a lock that other processes wait for; it is let go when this process ends, however it ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
