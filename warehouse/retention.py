"""Which index versions are kept."""

import time
from pathlib import Path

from warehouse.pointer import read_pointer
from warehouse.registry import SECONDS_TO_PUBLISH, registry_of


def retire_bundles(root: str | Path, keep: int) -> list[str]:
    """Delete the bundles that nobody needs any more: published ones beyond `keep`, and old unpublished ones.

    Args:
        keep: published versions kept, the live one among them. The live one is never deleted; where nothing is
            live, nothing is.

    Returns:
        index_ids of the deleted bundles.

    Raises:
        BundleError: object storage does not answer.
    """
    pointer = read_pointer(root)
    if pointer is None:
        return []
    registry, recently = registry_of(root), time.time() - SECONDS_TO_PUBLISH
    needed = {pointer.index_id, *pointer.previous[: keep - 1]}
    superseded = set(pointer.previous[keep - 1 :])
    others = {name: kept for name, kept in registry.versions().items() if name not in needed}
    retired = {name: kept for name, kept in others.items() if name in superseded or kept.written < recently}
    for name in retired:
        registry.delete(name)
    return sorted(name for name, kept in retired.items() if kept.whole)
