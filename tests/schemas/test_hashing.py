"""Keys depend on content alone, and on all of it."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.hashing import digest, fingerprint, normalise, text_hash


def test_known_values() -> None:
    assert digest("") == digest(b"")
    assert len(digest("a")) == 32
    assert normalise(" a\n\tb\u00a0 c ") == "a b c"
    assert normalise("e\u0301") == "\u00e9"


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_parts_do_not_run_together(left: list[str], right: list[str]) -> None:
    assert (digest(*left) == digest(*right)) == (left == right)


@given(st.dictionaries(st.text(), st.integers()))
def test_fingerprint_ignores_the_order_of_keys(value: dict[str, int]) -> None:
    assert fingerprint(value) == fingerprint(dict(reversed(value.items())))


def test_white_space_does_not_change_a_text_hash_but_headings_do() -> None:
    assert text_hash(["a"], "b  c") == text_hash(["a "], "b\nc")
    assert text_hash(["a"], "b") != text_hash([], "a b")
    assert text_hash(["a"], "b") != text_hash(["a", "b"], "")
