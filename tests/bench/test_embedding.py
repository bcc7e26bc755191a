"""What the embedding benchmark feeds and how it judges."""

import json
from pathlib import Path

import pytest

from bench.embedding import compared, fastest, made_texts, read_texts, stored_passages
from schemas.corpus import EncoderSettings


def test_made_texts_are_distinct_the_same_each_time_and_of_many_lengths() -> None:
    texts = made_texts(300)
    assert texts == made_texts(300)
    assert len(set(texts)) == 300
    lengths = sorted(len(text.split()) for text in texts)
    assert lengths[0] >= 10
    assert lengths[-1] > 3 * lengths[150]


def test_a_corpus_gives_its_first_distinct_texts(tmp_path: Path) -> None:
    rows = [{"title": "", "text": "a"}, {"title": "", "text": "a"}, {"title": "t", "text": "b"}, {"text": "c"}]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read_texts(tmp_path / "corpus.jsonl", 2) == ["a", "t\nb"]


def test_passages_are_pending_texts_of_their_own() -> None:
    stored = stored_passages(["one owl", "two owls hoot"], EncoderSettings(engine="fake"))
    assert stored["tokens"].to_pylist() == [2, 3]
    assert len(set(stored["text_hash"].to_pylist())) == len(set(stored["chunk_id"].to_pylist())) == 2


def test_the_best_round_counts() -> None:
    seconds = iter([3.0, 9.0, 2.0, 8.0])
    assert fastest({"ours": lambda: next(seconds), "other": lambda: next(seconds)}, 2) == {"ours": 2.0, "other": 8.0}


@pytest.mark.parametrize(("ours", "met"), [(4.9, [True, True]), (5.2, [False, True]), (6.0, [False, False])])
def test_goals_are_twice_arrival_order_and_nearly_the_own_one(ours: float, met: list[bool]) -> None:
    seconds = {"ours": ours, "arrival order": 10.0, "own order": 5.0}
    figures = compared(seconds, 1000, "float32")
    assert [figure.met for figure in figures] == met
    assert figures[0].ours == ours
