"""Errors that a user sees: one line that says what, where, what is left behind and what mends it."""

from collections.abc import Iterable


class NightjarError(Exception):
    """A failure whose text is meant for the person who ran the command.

    Args:
        what: what went wrong, without a final stop.
        where: file, table, URL or stage it went wrong in.
        left_behind: what the failure leaves on disk; empty when nothing.
        remedy: the command or edit that mends it.
    """

    def __init__(self, what: str, *, where: str = "", left_behind: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.left_behind = left_behind
        self.remedy = remedy
        super().__init__(what, where, left_behind, remedy)

    def __str__(self) -> str:
        first = f"{self.where}: {self.what}" if self.where else self.what
        sentences = [first, self.left_behind, self.remedy]
        return " ".join(f"{sentence.rstrip('.')}." for sentence in sentences if sentence)


class UnknownName(NightjarError):
    """A name that is none of the known ones; the message lists those."""

    def __init__(self, kind: str, received: str, known: Iterable[str]) -> None:
        names = ", ".join(sorted(known)) or "none"
        super().__init__(f"unknown {kind} {received!r}", remedy=f"Known: {names}")


class SetupError(NightjarError):
    """Something the machine lacks: Java, JARs, a model, a free port."""


class CorpusError(NightjarError):
    """A corpus file that cannot be read or does not say what it must."""


class CrawlError(NightjarError):
    """A crawl that fetched nothing."""


class SchemaError(NightjarError):
    """Rows or a stored table that do not fit the declared schema."""


class WarehouseError(NightjarError):
    """A table that cannot be read or written."""


class GateError(NightjarError):
    """Expectations that did not hold; nothing was published."""


class WorkerError(NightjarError):
    """A worker process whose work cannot be done at all."""


class BundleError(NightjarError):
    """An index version that is missing, damaged or refused."""


class DamagedBundle(BundleError):
    """An index version of which a file is missing or is not what its manifest says."""


class ModelError(NightjarError):
    """A model that is missing or does not answer."""
