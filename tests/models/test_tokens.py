"""Token counts agree with the tokenizer they come from."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel, WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, Whitespace
from tokenizers.processors import BertProcessing

from models.tokens import TokenCounter, WordCounter
from schemas.errors import ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "a": 1, "b": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_neither_stored_truncation_nor_padding_counts(folder: Path) -> None:
    counter = TokenCounter(folder)
    assert counter("a b a") == 3
    assert counter.count(["a", "a b other a", ""]) == [1, 4, 0]


def test_a_window_cuts(folder: Path) -> None:
    assert TokenCounter(folder, window=2).count(["a", "a b a"]) == [1, 2]


def test_spans_are_places_in_the_text_as_written(folder: Path) -> None:
    assert TokenCounter(folder).spans("a  \u9577b\n a") == [(0, 1), (3, 5), (7, 8)]
    assert WordCounter().spans("a  \u9577b\n a") == [(0, 1), (3, 5), (7, 8)]


# Those at the end divide texts for Python, for BERT or for both.
PIECES = [
    "a",
    "b",
    "ab",
    "B\u00c1",
    "x" * 120,
    "[SEP]",
    "a.b",
    "\u9577\u3044",
    "\u0301",
    "\u03a3",
    *" \t\n\xa0\u3000\u2028\x0b\x1c\x85\xad",
]


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), max_size=4))
def test_words_cost_what_the_whole_text_costs(texts: list[str]) -> None:
    vocabulary = {word: number for number, word in enumerate(["[UNK]", "[SEP]", "a", "b", "##b", "##a", ".", "\u9577"])}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(), BertPreTokenizer()
    tokenizer.add_special_tokens(["[SEP]"])
    tokenizer.post_processor = BertProcessing(("[SEP]", 1), ("[SEP]", 1))
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(f"{folder}/tokenizer.json")
        counter = TokenCounter(Path(folder))
    assert counter.count(texts) == [len(encoding.ids) for encoding in tokenizer.encode_batch(texts)]


def test_no_tokenizer_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no readable tokenizer"):
        TokenCounter(tmp_path)
