"""Roles are scored on the blocks that the gold set speaks of, and on no others."""

import pytest

from bench.gold_pages import GoldPage, macro_f1
from bench.roles import judged_blocks, named_roles, score
from models.fake import FakeLanguageModel

BODY = b"<body><nav><a href='/'>Home page</a></nav><p>Moths fly at night, sleep by day.</p><p>Other words.</p></body>"
GOLD = GoldPage("http://moths.test/", BODY, wanted=("Moths fly at night",), unwanted=("Home page",))


def test_macro_f1_by_hand() -> None:
    # Content: 2 right, 1 missed, 0 wrong, so 4/5. The rest: 1 right, 0 missed, 1 wrong, so 2/3.
    judged = [(True, True), (True, True), (True, False), (False, False)]
    assert macro_f1(judged) == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_only_judged_blocks_count() -> None:
    assert [(block.content, block.element.text) for block in judged_blocks(GOLD)] == [
        (False, "Home page"),
        (True, "Moths fly at night, sleep by day."),
    ]
    assert GOLD.says("Home page. Moths fly at night.") is None


def test_every_way_names_every_block() -> None:
    blocks = judged_blocks(GOLD)
    ways = named_roles(blocks, FakeLanguageModel())
    assert {len(named) for named in ways.values()} == {2}
    assert score(blocks, ways["rules"]) == 1
    assert score(blocks, ways["everything is body"]) == pytest.approx((2 / 3 + 0) / 2)
    assert score(blocks, [None, None]) == 0
