"""Token counts agree with the tokenizer they come from."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

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


def test_no_tokenizer_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no readable tokenizer"):
        TokenCounter(tmp_path)
