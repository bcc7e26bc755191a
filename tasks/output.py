"""What a model wrote, made into a value or refused with a reason."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema

from models.language import Generation
from schemas.hashing import normalise
from schemas.quarantine import Reason

WORD = re.compile(r"\w+")
SENTENCE_END = re.compile(r"[.!?][\"')\]]*(?=\s|$)")
LABEL = re.compile(r"^(?:(?:[-*]|\d+[.)])\s+)?(?:(?:question|query|answer)\s*:)?\s*", re.IGNORECASE)
COPIED_WORDS = 8
LEAST_COPIED_WORDS = 4
REPEATABLE_WORDS = 12
LEAST_DISTINCT = 0.5
LEAST_DISTINCT_ITEMS = 0.3


class BadOutput(Exception):
    """An output that gives no row."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(reason, detail)


@dataclass(frozen=True)
class Parsed:
    """The value of an output: one text, and its items where it is a list."""

    text: str
    items: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Parser:
    """Makes a value of a decoded output.

    Attributes:
        parse: from the output's text, or the one value of its JSON object.
        version: counted up when the same output gives another value; part of a recipe's identity.
        salvages: takes what is complete out of an output that was cut off.
    """

    parse: Callable[[object], Parsed]
    version: int = 1
    salvages: bool = False


def parse_items(value: object) -> Parsed:
    """A list of short texts, each once, in the order written.

    Raises:
        BadOutput: not a list, or more than 70% of the items repeat earlier ones.
    """
    if not isinstance(value, list):
        raise BadOutput(Reason.INVALID_OUTPUT, f"a list is needed, not {type(value).__name__}")
    items = [normalise(str(item)).strip(" .,;:") for item in value]
    first: dict[str, str] = {}
    for item in filter(None, items):
        first.setdefault(item.casefold(), item)
    distinct = tuple(first.values())
    if len(distinct) < len(items) * LEAST_DISTINCT_ITEMS:
        raise BadOutput(Reason.REPETITIVE, f"{len(distinct)} distinct items of {len(items)}")
    return Parsed(", ".join(distinct), distinct)


def parse_sentences(value: object) -> Parsed:
    """One line of whole sentences; a last one that was cut off is dropped unless it is the only one."""
    text = normalise(str(value))
    ends = [end.end() for end in SENTENCE_END.finditer(text)]
    return Parsed(text[: ends[-1]] if ends else text)


def parse_line(value: object) -> Parsed:
    """The first line with anything on it, without label, bullet or quotes."""
    lines = [line.strip() for line in str(value).splitlines() if line.strip()]
    return Parsed(LABEL.sub("", normalise(lines[0])).strip(" \"'`") if lines else "")


PARSERS = {
    "items": Parser(parse_items),
    "sentences": Parser(parse_sentences, salvages=True),
    "line": Parser(parse_line),
}


def read_output(generation: Generation, parser: Parser, schema: Mapping[str, Any] | None, fixed: str) -> Parsed:
    """Check an output and make its value.

    Args:
        schema: JSON schema of an object, whose last property is the value; None for free text.
        fixed: the recipe's own words, which an output may not copy.

    Raises:
        BadOutput: with the reason, if it is too long, empty, cut off, not what the schema says, repetitive,
            or copied from the prompt.
    """
    _check_finish(generation, salvageable=parser.salvages and schema is None)
    parsed = parser.parse(_decode(generation.text, schema) if schema else generation.text)
    if not parsed.text:
        raise BadOutput(Reason.NO_OUTPUT, "nothing is left after parsing")
    check_repetition(parsed.text)
    check_copied(parsed.text, fixed)
    return parsed


def _check_finish(generation: Generation, *, salvageable: bool) -> None:
    if generation.finish_reason == "too_long":
        raise BadOutput(Reason.TOO_LONG, "prompt and output together exceed the model's context")
    if generation.finish_reason == "engine_died":
        raise BadOutput(Reason.ENGINE_FAILED, "every engine that was asked died of it")
    if not generation.text.strip():
        raise BadOutput(Reason.NO_OUTPUT, "the model wrote nothing")
    whole = salvageable and SENTENCE_END.search(generation.text)
    if generation.finish_reason == "length" and not whole:
        raise BadOutput(Reason.TRUNCATED, f"cut off after {generation.output_tokens} tokens")


def _decode(text: str, schema: Mapping[str, Any]) -> object:
    """The value of the schema's last property: what a recipe has a model write before it is thought, and not kept."""
    try:
        decoded = json.loads(text)
        jsonschema.validate(decoded, schema)
    except json.JSONDecodeError as error:
        raise BadOutput(Reason.INVALID_OUTPUT, f"not JSON: {error}") from error
    except jsonschema.ValidationError as error:
        raise BadOutput(Reason.INVALID_OUTPUT, f"not as the schema says: {error.message[:200]}") from error
    return decoded[list(schema["properties"])[-1]]


def check_repetition(text: str) -> None:
    """Refuse text that goes round in circles: fewer than half of its word trigrams are distinct.

    Raises:
        BadOutput: it does.
    """
    words = WORD.findall(text.casefold())
    trigrams = list(zip(words, words[1:], words[2:], strict=False))
    if len(words) >= REPEATABLE_WORDS and len(set(trigrams)) < len(trigrams) * LEAST_DISTINCT:
        raise BadOutput(Reason.REPETITIVE, f"{len(set(trigrams))} distinct word trigrams of {len(trigrams)}")


def check_copied(text: str, fixed: str) -> None:
    """Refuse text that shares eight words in a row, or all of its words in order, with the recipe's own.

    Raises:
        BadOutput: it does.
    """
    words = WORD.findall(text.casefold())
    length = min(COPIED_WORDS, len(words))
    if length < LEAST_COPIED_WORDS:
        return
    copied = _runs(words, length) & _runs(WORD.findall(fixed.casefold()), length)
    if copied:
        raise BadOutput(Reason.COPIED_PROMPT, f"copies the prompt: {' '.join(min(copied))}")


def _runs(words: list[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}
