"""The gold set of trafilatura's own evaluation: pages with segments that belong to the content, or do not."""

import json
import re
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

_FOLDERS = ("tests/cache/", "tests/eval/")


def squeezed(text: str) -> str:
    """White space as single spaces, the way segments are compared."""
    return re.sub(r"\s+", " ", text).strip()


@dataclass(frozen=True)
class GoldPage:
    """One annotated page.

    Attributes:
        wanted: segments that the text must hold.
        unwanted: segments that it must not hold.
    """

    url: str
    body: bytes
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]

    @property
    def site(self) -> str:
        """The last two labels of the host."""
        return ".".join((urlsplit(self.url).hostname or "").split(".")[-2:])

    def says(self, text: str) -> bool | None:
        """Whether a block's text is content: True or False if it holds wanted or unwanted segments, else None."""
        inside = squeezed(text)
        wanted = any(segment in inside for segment in self.wanted)
        unwanted = any(segment in inside for segment in self.unwanted)
        return None if wanted == unwanted else wanted

    @property
    def is_for_learning(self) -> bool:
        """Half of the sites are learned from, the other half is reported on: no site is in both."""
        return zlib.crc32(self.site.encode()) % 2 == 0


@dataclass
class Score:
    """Segments over all pages: wanted ones found and missed, unwanted ones found."""

    found: int = 0
    missed: int = 0
    wrong: int = 0

    def add(self, page: GoldPage, text: str) -> Self:
        """Count a page's segments in the text made from it."""
        squeezed_text = squeezed(text)
        found = sum(segment in squeezed_text for segment in page.wanted)
        self.found += found
        self.missed += len(page.wanted) - found
        self.wrong += sum(segment in squeezed_text for segment in page.unwanted)
        return self

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.found / max(1, 2 * self.found + self.missed + self.wrong)

    @property
    def precision(self) -> float:
        """Wanted among the segments found."""
        return self.found / max(1, self.found + self.wrong)

    @property
    def recall(self) -> float:
        """Found among the wanted segments."""
        return self.found / max(1, self.found + self.missed)


def macro_f1(judged: Iterable[tuple[bool, bool]]) -> float:
    """Mean of the F1 of content and the F1 of the rest.

    Args:
        judged: for each block whether it is content, and whether it was taken for it.
    """
    outcomes = Counter(judged)
    errors = outcomes[True, False] + outcomes[False, True]
    right = [outcomes[kind, kind] for kind in (True, False)]
    return sum(2 * count / max(1, 2 * count + errors) for count in right) / 2


def read_gold(folder: Path) -> list[GoldPage]:
    """Annotated pages whose HTML is there.

    Args:
        folder: holds `evaldata.json` and `html.tar.gz`.
    """
    annotations = json.loads((folder / "evaldata.json").read_text(encoding="utf-8"))
    with tarfile.open(folder / "html.tar.gz") as archive:
        bodies = {member.name: _read(archive, member) for member in archive if member.isfile()}
    pages: list[GoldPage] = []
    for url, page in annotations.items():
        body = next((body for name in _FOLDERS if (body := bodies.get(name + page["file"])) is not None), None)
        if body is not None:
            pages.append(GoldPage(url, body, _segments(page["with"]), _segments(page["without"])))
    return pages


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""


def _segments(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(squeezed, texts))
