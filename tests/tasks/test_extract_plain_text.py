"""Structure found in preformatted text."""

from tasks.extraction.blocks import Element
from tasks.extraction.plain_text import reads_as_prose, structure

BODY = Element("body", None, 0, "")


def blocks_of(text: str) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in structure(text, BODY, 2, 1)]


def test_wrapped_lines_flow_and_blank_lines_divide() -> None:
    assert blocks_of("one two\nthree\n\nfour") == [("text", "one two three"), ("text", "four")]


def test_underlines_make_headings_one_level_for_each_sign() -> None:
    made = structure("Top\n***\n\nSub\n===\n\ntext\n\nNext\n***", BODY, 2, 1)
    assert [(block.text, block.level) for block in made if block.kind == "heading"] == [
        ("Top", 3),
        ("Sub", 4),
        ("Next", 3),
    ]


def test_indented_code_keeps_its_lines_and_inner_blanks() -> None:
    text = "Example::\n\n    def f(x):\n        return x\n\n    f(1)\n\nAfter."
    assert blocks_of(text) == [
        ("text", "Example::"),
        ("code", "def f(x):\n    return x\n\nf(1)"),
        ("text", "After."),
    ]


def test_prompts_and_drawings_are_code() -> None:
    assert blocks_of(">>> f(1)\n2") == [("code", ">>> f(1)\n2")]
    drawing = "+---+---+\n| a | b |\n+---+---+"
    assert blocks_of(drawing) == [("code", drawing)]


def test_bullets_of_any_sign_are_items() -> None:
    made = structure("* a\n  more\n- b\n2. c", BODY, 0, 7)
    assert [(block.text, block.marker, block.group) for block in made] == [
        ("a more", "- ", 7),
        ("b", "- ", 7),
        ("c", "2. ", 7),
    ]


def test_prose_is_told_from_code() -> None:
    assert reads_as_prose("This is a sentence with words.\nAnd here is another one of them.\n\n  x = 1")
    assert reads_as_prose("Grammar\n=======\n\n   a ::= b | c\n   d ::= e | f")
    assert not reads_as_prose("def f(x):\n    return x + 1\n\nprint(f(2), file=out)")
