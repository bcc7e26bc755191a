"""Chunking: passages that lose nothing, fit, and stay the same when something else is edited."""

import re
from datetime import date

import pyarrow as pa
import pytest

from models.fake import FakeEncoder
from models.folders import model_folder
from models.tokens import TokenCounter
from schemas.chunks import CHUNKS
from schemas.corpus import ChunkSettings
from schemas.hashing import digest
from schemas.passage import passage_text
from tasks.chunk import chunk_documents, chunker_id, open_chunker
from tasks.chunking.chunker import Passage
from tasks.chunking.structure import StructureChunker
from tests.tasks.chunking.documents import paragraph
from tests.tasks.chunking.word_tokens import WordTokens

SMALL = ChunkSettings(max_tokens=16)


def passages(text: str, max_tokens: int = 30, title: str = "Title") -> list[Passage]:
    return StructureChunker(max_tokens, WordTokens()).passages(title, text)


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
    table = pa.Table.from_pylist([document(f"# A\n\n{same}\n\n# A\n\n{same}")])
    made = chunk_documents(table, StructureChunker(16, WordTokens()), "c")
    first, second = made.rows.to_pylist()
    assert first["text_hash"] == second["text_hash"]
    assert [row["chunk_id"] for row in (first, second)] == [digest("d", first["text_hash"], n) for n in "01"]
    assert CHUNKS.check(made.rows.append_column("run_id", pa.array(["r", "r"]))).num_rows == 2


def test_chunker_id_follows_settings_and_tokenizer() -> None:
    strategies = ("structure", "fixed", "recursive", "semantic")
    others = [ChunkSettings(strategy=strategy) for strategy in strategies]
    others += [ChunkSettings(strategy="fixed", overlap_tokens=9), ChunkSettings(strategy="semantic", similarity=0.1)]
    assert len({chunker_id(SMALL, "t"), chunker_id(SMALL, "u"), *(chunker_id(other, "t") for other in others)}) == 8
    assert chunker_id(ChunkSettings(), "t") == chunker_id(ChunkSettings(strategy="structure", max_tokens=200), "t")


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["structure", "fixed", "recursive", "semantic"])
def test_budget_holds_in_the_encoders_own_tokens(strategy: str) -> None:
    counter = TokenCounter(model_folder("all-MiniLM-L6-v2"))
    text = "\n\n".join([paragraph(number, 90) for number in range(30)] + ["x" * 3000, "\u9577\u3044\u6587" * 300])
    settings = ChunkSettings.model_validate({"strategy": strategy, "max_tokens": 60})
    made = open_chunker(settings, counter, FakeEncoder).passages("Title", text)
    counted = counter.count([passage_text(passage.heading_path, text[passage.start : passage.end]) for passage in made])
    assert counted == [passage.tokens for passage in made]
    assert max(counted) <= 60
    assert "".join("".join(text[passage.start : passage.end].split()) for passage in made) == "".join(text.split())
