"""Which index versions stay on disk."""

import shutil
import time
from pathlib import Path

from warehouse.bundle import UNFINISHED, indexes_folder
from warehouse.pointer import read_pointer

# A build that takes longer was killed, and a version that is older unpublished was given up.
SECONDS_TO_PUBLISH = 24 * 3600


def retire_bundles(root: str | Path, keep: int) -> list[str]:
    """Delete the bundles that nobody needs any more: published ones beyond `keep`, and old unpublished ones.

    Args:
        keep: published versions kept, the live one among them. The live one is never deleted; where nothing is
            live, nothing is.

    Returns:
        index_ids of the deleted bundles.
    """
    pointer = read_pointer(root)
    if pointer is None:
        return []
    folder = indexes_folder(root)
    kept = {pointer.index_id, *pointer.previous[: keep - 1]}
    superseded = set(pointer.previous[keep - 1 :])
    others = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name not in kept]
    retired = [path for path in others if path.name in superseded or _is_old(path)]
    for path in retired:
        shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in retired if not path.name.startswith(UNFINISHED)]


def _is_old(path: Path) -> bool:
    return path.stat().st_mtime < time.time() - SECONDS_TO_PUBLISH
