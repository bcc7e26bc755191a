"""The parts of a night that a backfill runs alone."""

from enum import StrEnum


class Part(StrEnum):
    """A stage, or the stages of one kind."""

    EXTRACT = "extract"
    CHUNK = "chunk"
    FEATURES = "features"
    QUERIES = "queries"
    CONTEXTS = "contexts"
    EMBED = "embed"
    INDEX = "index"


_OF_TABLE = {"features": Part.FEATURES, "synthetic_queries": Part.QUERIES, "contexts": Part.CONTEXTS}


def part_of(table: str) -> Part:
    """The part that the recipes of a table belong to."""
    return _OF_TABLE[table]
