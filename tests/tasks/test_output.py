"""Outputs become values, or are refused with the reason."""

import pytest

from models.language import FinishReason, Generation
from schemas.quarantine import Reason
from tasks.output import PARSERS, BadOutput, Parsed, read_output

LIST = {
    "type": "object",
    "required": ["keywords"],
    "additionalProperties": False,
    "properties": {"keywords": {"type": "array", "maxItems": 6, "items": {"type": "string", "maxLength": 30}}},
}
FIXED = "List the most important keywords of the passage above, one after the other, best first."


def generation(text: str, finish_reason: FinishReason = "stop") -> Generation:
    return Generation(text, prompt_tokens=10, output_tokens=5, finish_reason=finish_reason)


def reason_of(parser: str, made: Generation, schema: dict[str, object] | None = None) -> Reason:
    with pytest.raises(BadOutput) as caught:
        read_output(made, PARSERS[parser], schema, FIXED)
    return caught.value.reason


def test_items_are_squeezed_and_stand_once() -> None:
    made = generation('{"keywords": ["Sorted list", " bisect,", "sorted  LIST", "insertion"]}')
    assert read_output(made, PARSERS["items"], LIST, FIXED) == Parsed(
        "Sorted list, bisect, insertion", ("Sorted list", "bisect", "insertion")
    )


def test_sentences_drop_what_was_cut_off() -> None:
    made = generation('It sorts.\nIt is "fast." It also', "length")
    assert read_output(made, PARSERS["sentences"], None, FIXED).text == 'It sorts. It is "fast."'


@pytest.mark.parametrize(
    "text",
    [
        "how to sort a list",
        'Question: "how to sort a list"',
        "\n1. how to sort a list\nand more",
        "query:how to sort a list",
    ],
)
def test_a_line_loses_label_bullet_and_quotes(text: str) -> None:
    assert read_output(generation(text), PARSERS["line"], None, FIXED).text == "how to sort a list"


def test_a_line_keeps_a_number_that_belongs_to_it() -> None:
    assert read_output(generation("3 ways to sort"), PARSERS["line"], None, FIXED).text == "3 ways to sort"


@pytest.mark.parametrize("text", ["", " \n", '""'])
def test_nothing_is_no_output(text: str) -> None:
    assert reason_of("line", generation(text)) is Reason.NO_OUTPUT


def test_a_prompt_that_was_refused_is_too_long() -> None:
    assert reason_of("line", generation("", "too_long")) is Reason.TOO_LONG


@pytest.mark.parametrize(
    ("parser", "text", "schema"),
    [("items", '{"keywords": ["a', LIST), ("line", "how to", None), ("sentences", "no end in sight", None)],
)
def test_what_was_cut_off_is_truncated(parser: str, text: str, schema: dict[str, object] | None) -> None:
    assert reason_of(parser, generation(text, "length"), schema) is Reason.TRUNCATED


@pytest.mark.parametrize(
    "text", ["keywords: a, b", '{"words": ["a"]}', '{"keywords": "a"}', '{"keywords": ["' + "a" * 31 + '"]}', "[]"]
)
def test_what_breaks_the_schema_is_invalid(text: str) -> None:
    assert reason_of("items", generation(text), LIST) is Reason.INVALID_OUTPUT


def test_items_that_repeat_are_repetitive() -> None:
    assert reason_of("items", generation('{"keywords": ["a", "A", "a", "a."]}'), LIST) is Reason.REPETITIVE
    some = generation('{"keywords": ["a", "b", "b", "b", "b"]}')
    assert read_output(some, PARSERS["items"], LIST, FIXED).items == ("a", "b")


def test_text_that_goes_round_in_circles_is_repetitive() -> None:
    assert reason_of("sentences", generation("It is used to sort a list. " * 6)) is Reason.REPETITIVE
    twice = generation("It is used to sort a list. It keeps the list in order while items are added.")
    assert read_output(twice, PARSERS["sentences"], None, FIXED)


@pytest.mark.parametrize(
    "text",
    ["Most important keywords of the passage", "Sure: list the most important keywords of the passage above are these"],
)
def test_the_prompt_said_back_is_copied(text: str) -> None:
    assert reason_of("sentences", generation(text)) is Reason.COPIED_PROMPT


def test_a_few_words_in_common_are_no_copy() -> None:
    assert read_output(generation("keywords of the"), PARSERS["line"], None, FIXED)
    assert read_output(generation("The passage lists the most important keywords"), PARSERS["line"], None, FIXED)
