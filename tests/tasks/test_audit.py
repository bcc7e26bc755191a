"""Audits of features, by hand."""

import pytest

from schemas.chunks import CHUNKS
from schemas.features import FEATURES
from tasks.audit import audit
from warehouse.tables import Warehouse

TEXTS = {"a": "Owls hunt mice.", "b": "Moths fly to light.", "c": "Nobody wrote about this.", "gone": "Old text."}
WRITTEN = {
    # Of owls, hunt, voles one is new; "owls hunt" stands there, and "voles" does not.
    "a": ("owls hunt, voles", ["Owls hunt", "voles"]),
    # Nothing is new; the words of "light fly" stand there in another order.
    "b": ("fly, light fly", ["fly", "light fly"]),
    "gone": ("old", ["old"]),
}


def test_figures_by_hand(warehouse: Warehouse) -> None:
    chunks = [
        {**CHUNKS.example, "chunk_id": key, "heading_path": [], "text": text, "text_hash": key, "live": key != "gone"}
        for key, text in TEXTS.items()
    ]
    warehouse.append(CHUNKS, CHUNKS.rows(chunks))
    lists = [
        {**FEATURES.example, "text_hash": key, "text": text, "items": items} for key, (text, items) in WRITTEN.items()
    ]
    essays = [
        {
            **FEATURES.example,
            "text_hash": key,
            "feature": "essay",
            "recipe_id": "essay",
            "text": "Birds.",
            "items": None,
        }
        for key in ("a", "b", "c")
    ]
    warehouse.append(FEATURES, FEATURES.rows(lists + essays))
    essay, keywords = audit(warehouse)
    assert (keywords["feature"], keywords["texts"], keywords["words"]) == ("keywords", 2, 3)
    assert keywords["coverage"] == pytest.approx(2 / 3)
    assert keywords["novelty"] == pytest.approx((1 / 3 + 0) / 2)
    assert keywords["grounding"] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert keywords["duplicates"] == 0
    assert (essay["coverage"], essay["words"], essay["novelty"], essay["grounding"]) == (1, 1, 1, None)
    assert essay["duplicates"] == pytest.approx(2 / 3)
