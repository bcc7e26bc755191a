"""Every strategy loses nothing, keeps to the budget, and gives the same passages for the same text."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fake import FakeEncoder
from schemas.corpus import ChunkSettings
from schemas.hashing import normalise
from schemas.passage import passage_text
from tasks.chunk import open_chunker
from tasks.chunking.chunker import Passage, covered_once
from tasks.chunking.units import read_units
from tests.tasks.chunking.documents import DOCUMENTS, paragraph
from tests.tasks.chunking.word_tokens import WordTokens

STRATEGIES = ("structure", "fixed", "recursive", "semantic")
WHOLE_UNITS = ("structure", "semantic")


def cut(text: str, title: str = "Title", **chosen: object) -> list[Passage]:
    """Passages of a text by the settings that are named."""
    made_by = ChunkSettings.model_validate(chosen)
    return open_chunker(made_by, WordTokens(), FakeEncoder).passages(title, text)


def texts(text: str, **chosen: object) -> list[str]:
    return [text[passage.start : passage.end] for passage in cut(text, **chosen)]


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=150, deadline=None)
@given(text=DOCUMENTS, max_tokens=st.integers(16, 64), title=st.text(max_size=80), overlap=st.integers(0, 16))
def test_nothing_is_lost_and_everything_fits(
    strategy: str, text: str, max_tokens: int, title: str, overlap: int
) -> None:
    shared = min(overlap, max_tokens // 4)
    chosen = {} if strategy in WHOLE_UNITS else {"overlap_tokens": shared}
    made = cut(text, title, strategy=strategy, max_tokens=max_tokens, **chosen)
    assert made == cut(text, title, strategy=strategy, max_tokens=max_tokens, **chosen)
    for passage in made:
        seen = passage_text(passage.heading_path, text[passage.start : passage.end])
        assert WordTokens().count([seen]) == [passage.tokens]
        assert passage.tokens <= max_tokens
    for one, following in pairwise(made):
        assert one.start < following.start
        assert one.end < following.end
        common = text[following.start : max(one.end, following.start)]
        assert WordTokens().count([common])[0] - 2 <= (0 if strategy in WHOLE_UNITS else shared)
    check_reconstruction(text, made, without_headings=strategy in WHOLE_UNITS)


def check_reconstruction(text: str, made: list[Passage], *, without_headings: bool) -> None:
    position, kept = 0, []
    for (start, end), passage in zip(covered_once(made), made, strict=True):
        check_gap(text[position:start], passage.heading_path if without_headings else ())
        kept += [text[position:start], text[start:end]]
        position = end
    assert not text[position:].strip()
    assert "".join([*kept, text[position:]]) == text


def check_gap(gap: str, heading_path: tuple[str, ...]) -> None:
    known = {normalise(heading) for heading in heading_path}
    for line in filter(str.strip, gap.split("\n")):
        assert re.match("#{1,6} ", line)
        assert normalise(line.lstrip("#")) in known


@pytest.mark.parametrize("strategy", WHOLE_UNITS)
@settings(max_examples=100, deadline=None)
@given(text=DOCUMENTS, max_tokens=st.integers(16, 64))
def test_units_that_fit_are_whole(strategy: str, text: str, max_tokens: int) -> None:
    made = cut(text, strategy=strategy, max_tokens=max_tokens)
    seams = {place for passage in made for place in (passage.start, passage.end)}
    longest = max_tokens // 2 - 2  # below any heading path
    for unit in read_units(text):
        if WordTokens().count([text[unit.start : unit.end]])[0] - 2 <= longest:
            assert not any(unit.start < seam < unit.end for seam in seams)


def test_fixed_windows_share_their_overlap() -> None:
    text = " ".join(f"w{number}" for number in range(30))
    made = texts(text, strategy="fixed", max_tokens=16, overlap_tokens=3)
    # Two special tokens and the title leave 13 words.
    assert [(piece.split()[0], piece.split()[-1]) for piece in made] == [("w0", "w12"), ("w10", "w22"), ("w20", "w29")]


def test_recursive_cuts_at_the_coarsest_seam_that_fits() -> None:
    first, second = "One two three. Four five six.", "Seven eight nine ten. Eleven twelve thirteen fourteen."
    text = f"{first}\n\n{second} Fifteen sixteen seventeen."
    assert texts(text, strategy="recursive", max_tokens=16) == [
        first,
        second,
        "Fifteen sixteen seventeen.",
    ]


def test_blind_strategies_keep_headings_in_the_text_and_in_the_path() -> None:
    text = "# Title\n\nintro\n\n## A\n\ntext\n\n## B\n\n" + " ".join(f"w{number}" for number in range(20))
    for strategy in ("fixed", "recursive"):
        made = cut(text, strategy=strategy, max_tokens=16)
        assert made[0].heading_path == ("Title",)
        assert made[-1].heading_path == ("Title", "B")
        assert "## A" in text[made[0].start : made[0].end]


def test_semantic_divides_where_neighbours_share_no_words() -> None:
    text = "moths fly at night\n\nmoths fly to light\n\nwrenches tighten bolts\n\nwrenches loosen bolts"
    assert texts(text, strategy="structure", max_tokens=64) == [text]
    assert texts(text, strategy="semantic", max_tokens=64, similarity=0.4) == [
        "moths fly at night\n\nmoths fly to light",
        "wrenches tighten bolts\n\nwrenches loosen bolts",
    ]
    assert texts(text, strategy="semantic", max_tokens=64, similarity=-1) == [text]


def test_semantic_leaves_lists_and_tables_together() -> None:
    items = "- moths fly\n- wrenches tighten\n- rain falls"
    assert texts(f"{items}\n\nan end", strategy="semantic", max_tokens=64, similarity=1) == [items, "an end"]


def test_only_semantic_opens_an_encoder_and_counts_what_it_read() -> None:
    encoder = FakeEncoder()
    for strategy in STRATEGIES:
        chunker = open_chunker(ChunkSettings.model_validate({"strategy": strategy}), WordTokens(), lambda: encoder)
        assert encoder.calls == 0
        chunker.passages("Title", "one two\n\nthree")
        assert chunker.tokens_read == (3 if strategy == "semantic" else 0)
    assert encoder.calls == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_kinds_are_those_of_most_characters(strategy: str) -> None:
    rows = "| h | i |\n| --- | --- |\n| cell | value |"
    assert [passage.kind for passage in cut(rows, strategy=strategy)] == ["table"]
    assert [passage.kind for passage in cut(paragraph(1), strategy=strategy)] == ["text"]
    assert cut("", strategy=strategy) == []
