"""Chunking: passages that lose nothing, fit, and stay the same when something else is edited."""

import re
from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.folders import model_folder
from models.tokens import TokenCounter
from schemas.chunks import CHUNKS
from schemas.corpus import ChunkSettings
from schemas.hashing import digest, normalise
from schemas.passage import passage_text
from tasks.chunk import Chunker, Passage, chunk_documents, chunker_id

SMALL = ChunkSettings(max_tokens=16)


def count_words(texts: Sequence[str]) -> list[int]:
    """Words and signs, and two special tokens around them, as BERT's tokenizer adds."""
    return [2 + len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def passages(text: str, max_tokens: int = 30, title: str = "Title") -> list[Passage]:
    return Chunker(max_tokens, count_words).passages(title, text)


def texts(text: str, max_tokens: int = 30) -> list[str]:
    return [text[passage.start : passage.end] for passage in passages(text, max_tokens)]


def document(text: str) -> dict[str, object]:
    return {
        "doc_id": "d",
        "url": "http://a.test/",
        "title": "Title",
        "language": "en",
        "text": text,
        "directives": ["noarchive"],
        "licence": None,
        "withheld": False,
        "body_hash": "b",
        "extractor_id": "e",
        "ds": date(2026, 11, 23),
        "live": True,
        "run_id": "r",
    }


def test_sections_keep_their_headings() -> None:
    made = passages("# Title\n\nintro\n\n## A\n\n### B\n\ntext\n\n## C\n\nmore")
    assert [passage.heading_path for passage in made] == [("Title",), ("Title", "A", "B"), ("Title", "C")]


def test_heading_with_nothing_below_is_a_passage() -> None:
    text = "# m\n\n## f(x)\n\n## g(x)\n\nDoubles."
    assert texts(text) == ["## f(x)", "Doubles."]
    assert passages(text)[0].heading_path == ("Title", "m")


def test_what_fits_stays_together_within_a_section() -> None:
    assert texts("one two\n\n- a\n- b\n\nthree") == ["one two\n\n- a\n- b\n\nthree"]


def test_rows_items_and_code_are_not_cut() -> None:
    rows = "| h | i |\n| --- | --- |\n" + "\n".join(f"| cell {n} | value {n} |" for n in range(20))
    items = "\n".join(f"- item {n} of the list" for n in range(20))
    code = "```\n" + "\n".join(f"x = {n}" for n in range(5)) + "\n```"
    for text, line in ((rows, r"\|.*\|"), (items, r"- item \d+ of the list")):
        assert all(re.fullmatch(line, part) for piece in texts(text, 40) for part in piece.splitlines())
    assert code in texts(f"{'word ' * 25}\n\n{code}\n\n{'word ' * 25}", 40)


def test_code_too_long_for_a_passage_is_cut_between_lines() -> None:
    lines = [f"name{n} = value{n}" for n in range(40)]
    pieces = texts("```\n" + "\n".join(lines) + "\n```", 30)
    assert len(pieces) > 4
    assert [line for piece in pieces for line in piece.splitlines()] == ["```", *lines, "```"]


def test_long_heading_path_leaves_room() -> None:
    made = passages(f"# {'long ' * 30}\n\ntext", max_tokens=24, title="word " * 100)
    assert all(passage.tokens <= 24 for passage in made)
    assert made[-1].heading_path[0].startswith("word word")


def test_repeated_passage_gets_a_key_of_its_own() -> None:
    same = "same words here"
    made = chunk_documents(pa.Table.from_pylist([document(f"# A\n\n{same}\n\n# A\n\n{same}")]), SMALL, count_words, "t")
    first, second = made.rows.to_pylist()
    assert first["text_hash"] == second["text_hash"]
    assert [row["chunk_id"] for row in (first, second)] == [digest("d", first["text_hash"], n) for n in "01"]
    assert CHUNKS.check(made.rows.append_column("run_id", pa.array(["r", "r"]))).num_rows == 2


def test_chunker_id_follows_settings_and_tokenizer() -> None:
    assert len({chunker_id(SMALL, "t"), chunker_id(ChunkSettings(), "t"), chunker_id(SMALL, "u")}) == 3


def paragraph(number: int, length: int = 15) -> str:
    return " ".join(digest(str(number), str(word))[:5] for word in range(length)) + "."


def test_edit_in_a_paragraph_changes_only_passages_that_hold_it() -> None:
    paragraphs = [paragraph(number) for number in range(40)]
    before = set(texts("\n\n".join(paragraphs), 80))
    for number in range(40):
        edited = paragraphs.copy()
        edited[number] = edited[number].replace(".", " indeed.")
        changed = set(texts("\n\n".join(edited), 80)) - before
        assert len(changed) == 1
        assert edited[number] in changed.pop()


def test_inserted_paragraph_leaves_most_passages_alone() -> None:
    paragraphs = [paragraph(number) for number in range(80)]
    before = set(texts("\n\n".join(paragraphs), 80))
    inserted = ["\n\n".join([*paragraphs[:place], "a new one", *paragraphs[place:]]) for place in range(80)]
    new = [len(set(texts(text, 80)) - before) for text in inserted]
    assert sum(new) / len(new) < 4


WORDS = st.lists(
    st.sampled_from(["alpha", "beta", "γάμμα", "d.", "e: ", "\u3000", "長い文。", "|"]), min_size=1, max_size=40
)
BLOCKS = st.one_of(
    WORDS.map(" ".join),
    st.tuples(st.integers(1, 6), WORDS).map(lambda heading: f"{'#' * heading[0]} {' '.join(heading[1])}"),
    st.lists(WORDS, min_size=1, max_size=5).map(lambda items: "\n".join(f"- {' '.join(item)}" for item in items)),
    st.lists(WORDS, min_size=1, max_size=5).map(lambda rows: "\n".join(f"| {' | '.join(row)} |" for row in rows)),
    st.lists(WORDS, max_size=8).map(lambda lines: "\n".join(["```", *map(" ".join, lines), "```"])),
    st.text(max_size=60),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(BLOCKS, max_size=12).map("\n\n".join), st.integers(16, 64), st.text(max_size=80))
def test_nothing_is_lost_and_everything_fits(text: str, max_tokens: int, title: str) -> None:
    made = passages(text, max_tokens, title)
    position = 0
    for passage, following in zip(made, [*made, None][1:], strict=True):
        assert position <= passage.start < passage.end
        assert passage.tokens <= max_tokens
        check_gap(text[position : passage.start], passage.heading_path)
        position = passage.end
        assert following is None or following.start >= position
    assert not text[position:].strip()


def check_gap(gap: str, heading_path: tuple[str, ...]) -> None:
    known = {normalise(heading) for heading in heading_path}
    for line in filter(str.strip, gap.split("\n")):
        assert re.match("#{1,6} ", line)
        assert normalise(line.lstrip("#")) in known


@pytest.mark.slow
def test_budget_holds_in_the_encoders_own_tokens() -> None:
    counter = TokenCounter(model_folder("all-MiniLM-L6-v2"))
    text = "\n\n".join([paragraph(number, 90) for number in range(30)] + ["x" * 3000, "\u9577\u3044\u6587" * 300])
    made = Chunker(60, counter.count).passages("Title", text)
    counted = counter.count([passage_text(passage.heading_path, text[passage.start : passage.end]) for passage in made])
    assert counted == [passage.tokens for passage in made]
    assert max(counted) <= 60
    assert "".join("".join(text[passage.start : passage.end].split()) for passage in made) == "".join(text.split())
