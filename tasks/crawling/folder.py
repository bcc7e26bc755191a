"""A folder of HTML files as a site: a URL and a row of `pages` for each."""

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from schemas.corpus import FolderSettings
from schemas.errors import CorpusError
from schemas.hashing import digest
from tasks.crawling.urls import canonical_url

Row = dict[str, Any]


def folder_files(settings: FolderSettings) -> dict[str, Path]:
    """The folder's pages: canonical URL to file, in the order of the files' names.

    Hidden files, and files in hidden folders, are none of them, and neither is one of whose path no page address
    can be made. Of two files with one URL the first counts.

    Raises:
        CorpusError: the folder is not there, or holds no page: a disk that is not mounted retires nothing.
    """
    root = Path(settings.path)
    files: dict[str, Path] = {}
    for path in sorted(root.glob(settings.pattern)):
        below = path.relative_to(root)
        url = canonical_url(settings.url_prefix + quote(os.fsencode(below)))
        if url is not None and not any(part.startswith(".") for part in below.parts) and not path.is_dir():
            files.setdefault(url, path)
    if not files:
        raise CorpusError(
            f"there is no file {settings.pattern} in this folder",
            where=settings.path,
            left_behind="Pages that came from it are kept",
            remedy="Put the files there, or correct folder in the corpus file",
        )
    return files


def read_files(files: dict[str, Path], settings: FolderSettings, stored: dict[str, str]) -> Iterator[Row]:
    """Rows of `pages`, without ds and run_id, for what changed: files that are new, other, refused or gone.

    Args:
        files: from `folder_files`.
        stored: URL to body_hash of the folder's pages that are stored and not gone.
    """
    for url, path in files.items():
        row = _file(path, settings)
        if row["outcome"] != "ok" or row["body_hash"] != stored.get(url):
            yield _complete(url, settings, row)
    for url in sorted(stored.keys() - files.keys()):
        yield _complete(url, settings, {"outcome": "gone", "detail": "no longer in the folder"})


def _complete(url: str, settings: FolderSettings, row: Row) -> Row:
    common = {"url": url, "fetched_at": datetime.now(UTC), "status": 0, "depth": 0, "source": settings.path}
    return common | row


def _file(path: Path, settings: FolderSettings) -> Row:
    """Outcome, detail, and body where there is one."""
    try:
        target = path.resolve(strict=True)
        if not target.is_relative_to(Path(settings.path).resolve()):
            return {"outcome": "refused", "detail": "a link that leads out of the folder"}
        if not stat.S_ISREG(target.stat().st_mode):
            return {"outcome": "refused", "detail": "no regular file"}
        with target.open("rb") as file:
            body = file.read(settings.max_body_bytes + 1)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        return {"outcome": "failed", "detail": f"cannot be read: {getattr(error, 'strerror', None) or error}"}
    if len(body) > settings.max_body_bytes:
        return {"outcome": "refused", "detail": f"longer than {settings.max_body_bytes} bytes"}
    return {"outcome": "ok", "content_type": "text/html", "body": body, "body_hash": digest(body)}
