"""Judged queries: a test collection's queries and relevance judgments, read from its files."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from schemas.corpus import JudgedSettings, PassagesSettings
from schemas.errors import CorpusError
from schemas.hashing import fingerprint
from tasks.given import passage_url, read_lines


@dataclass(frozen=True)
class Judged:
    """Queries that have judgments.

    Attributes:
        queries: text by query id, in the order of the file.
        qrels: grade by query id and URL of the passage.
    """

    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]

    @cached_property
    def judged_id(self) -> str:
        """Fingerprint of queries and judgments."""
        return fingerprint([dict(self.queries), {query: dict(grades) for query, grades in self.qrels.items()}])


def read_judged(settings: JudgedSettings, passages: PassagesSettings) -> Judged:
    """The queries that have judgments, and these. Judged passages that are not in the corpus stay judged.

    Raises:
        CorpusError: a file cannot be read, a line is none of its format, or no query is judged.
    """
    qrels: dict[str, dict[str, int]] = {}
    for query_id, passage_id, grade in _read_qrels(settings.qrels):
        qrels.setdefault(query_id, {})[passage_url(passages, passage_id)] = grade
    queries = {query_id: text for query_id, text in _read_queries(settings.queries) if query_id in qrels}
    if not queries:
        raise CorpusError("judges none of the queries", where=settings.qrels, remedy=f"Compare with {settings.queries}")
    return Judged(queries, {query_id: qrels[query_id] for query_id in queries})


def _read_queries(path: str) -> Iterator[tuple[str, str]]:
    for number, line in read_lines(path):
        try:
            yield _json_query(line) if line.startswith("{") else _tab_query(line)
        except (ValueError, KeyError, TypeError) as error:
            raise _bad_line(path, number, "a query: JSON with _id and text, or id, tab and text") from error


def _json_query(line: str) -> tuple[str, str]:
    value = json.loads(line)
    return str(value["_id"]), str(value["text"])


def _tab_query(line: str) -> tuple[str, str]:
    query_id, text = line.split("\t")
    return query_id, text


def _read_qrels(path: str) -> Iterator[tuple[str, str, int]]:
    """Query, passage and grade. BEIR's files have three columns below a heading, TREC's four without one."""
    for number, line in read_lines(path):
        columns = line.split()
        if number == 1 and columns[:2] == ["query-id", "corpus-id"]:
            continue
        try:
            query_id, *_, passage_id, grade = columns
            if len(columns) not in (3, 4):
                raise ValueError(line)
            yield query_id, passage_id, int(grade)
        except ValueError as error:
            raise _bad_line(path, number, "a judgment: query, (iteration,) passage and a whole number") from error


def _bad_line(path: str, number: int, wanted: str) -> CorpusError:
    return CorpusError(f"line {number} is not {wanted}", where=path, remedy="Correct the file")
