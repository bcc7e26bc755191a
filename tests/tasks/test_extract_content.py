"""The classifier that tells content from what surrounds it: its numbers, its file and its edges."""

import math

import numpy as np
import pytest

from tasks.extraction.blocks import Block, Element
from tasks.extraction.completion import completed, without_emptied_headings
from tasks.extraction.content import (
    ContentModel,
    ObliviousTrees,
    as_json,
    from_json,
    main_content,
    shipped_model,
)
from tasks.extraction.features import NAMES, Vocabulary, features
from tasks.extraction.page import read_page
from tasks.extraction.roles import ROLES, roles

BODY = Element("body", None, 0, "")
PROSE = "The bees that live in the old oak have flown to the clover again, and they took their time about it. "


def block(text: str, kind: str = "text", **more: object) -> Block:
    return Block(kind, text, more.pop("element", BODY), **more)  # type: ignore[arg-type]


def trees() -> ObliviousTrees:
    """One tree: is the first column above 1, is the second above 2."""
    thresholds, leaves = np.array([[1, 2]], np.float32), np.array([[0.1, 0.2, 0.3, 0.4]], np.float32)
    return ObliviousTrees(0.5, np.array([[0, 1]]), thresholds, leaves)


def test_every_answer_leads_to_a_leaf() -> None:
    rows = np.array([[0, 0], [0, 3], [2, 0], [2, 3], [1, 2]], np.float32)
    expected = [1 / (1 + math.exp(-(0.5 + leaf))) for leaf in (0.1, 0.2, 0.3, 0.4, 0.1)]
    assert trees().probabilities(rows) == pytest.approx(expected, abs=1e-6)


def test_model_survives_its_file() -> None:
    model = ContentModel(Vocabulary({"post": 1.5}, {"weiß": -0.5}), trees(), threshold=0.4, agreed=0.3, disputed=0.8)
    read = from_json(as_json(model, "nothing"))
    assert (read.vocabulary, read.threshold, read.agreed, read.disputed) == (model.vocabulary, 0.4, 0.3, 0.8)
    assert read.trees.leaves == pytest.approx(model.trees.leaves)
    assert (read.trees.columns == model.trees.columns).all()


def test_features_say_what_their_names_say() -> None:
    article = Element("article", BODY, 1, "post-body")
    blocks = [
        block("Bees", "heading", level=1),
        block(PROSE.strip(), element=Element("p", article, 2, "")),
        block("home", link_characters=4),
    ]
    rows = [
        dict(zip(NAMES, row, strict=True)) for row in features(blocks, "Bees", Vocabulary({"post": 2.0}, {})).tolist()
    ]
    heading, prose, link = rows
    assert (heading["is_heading"], heading["level"], heading["in_title"]) == (1, 1, 1)
    assert prose["log_words"] == pytest.approx(math.log1p(len(PROSE.split())))
    assert (prose["in_article"], prose["in_p"], prose["depth"], prose["name_max"]) == (1, 1, 2, 2.0)
    assert (prose["ends_sentence"], prose["from_h1"], prose["link_share_+1"], prose["link_share_-1"]) == (1, 1, 0, 1)
    assert (link["link_share"], link["core_80"], link["container1_prose_share"]) == (1, -2, 1)
    assert prose["page_has_article"] == link["page_has_article"] == 1


def test_heading_goes_with_what_stood_under_it() -> None:
    blocks = [
        block("a", "heading", level=1),
        block("kept"),
        block("b", "heading", level=2),
        block("dropped"),
        block("bare", "heading", level=2),
        block("c", "heading", level=1),
    ]
    content = [True, True, True, False, True, True]
    assert [block.text for block in without_emptied_headings(blocks, content)] == ["a", "kept", "bare", "c"]


def test_headings_lists_and_code_complete_what_was_chosen() -> None:
    blocks = [
        block("a", "heading", level=1),
        block("text"),
        block("x = 1", "code"),
        *(block(text, "item", marker="- ", group=1) for text in "bcd"),
        block("far", "code"),
    ]
    chances = np.array([0.3, 0.9, 0.1, 0.9, 0.9, 0.1, 0.1], np.float32)
    assert [kept.text for kept in completed(blocks, chances, chances > 0.5)] == [
        "a",
        "text",
        "x = 1",
        "b",
        "c",
        "d",
        "far",
    ]
    assert completed(blocks, chances, np.zeros(7, dtype=bool)) == []


def test_page_of_documented_terms_is_kept_from_its_first_heading() -> None:
    term = Element("dt", BODY, 1, "")
    blocks = [
        block("home", link_characters=4),
        block("version 3"),
        block("f(x)", "heading", level=2, element=term),
        block("Doubles."),
        block("g(x)", "heading", level=2, element=term),
        block("source", link_characters=6),
    ]
    nothing = np.zeros(6, dtype=np.float32)
    assert [kept.text for kept in completed(blocks, nothing, nothing > 0)] == ["f(x)", "Doubles."]


def test_article_is_kept_and_its_surroundings_are_not() -> None:
    menu = "".join(f"<li><a href=/{n}>Section {n}</a></li>" for n in range(12))
    html = f"""<title>Bees in the oak</title><body><div class=menu><ul>{menu}</ul></div>
        <article class=post><h1>Bees in the oak</h1><p>{PROSE * 3}</p><p>{PROSE * 4}</p></article>
        <div class=sidebar><p>Subscribe to our newsletter</p></div>
        <footer><p>Copyright 2020 All rights reserved</p></footer>"""
    texts = [block.text for block in main_content(read_page(html.encode(), None))]
    assert texts == ["Bees in the oak", (PROSE * 3).strip(), (PROSE * 4).strip()]


def test_page_without_blocks_has_no_content() -> None:
    assert main_content(read_page(b"", None)) == []


def test_shipped_model_gives_probabilities_for_any_page() -> None:
    one = shipped_model().probabilities([block("x")], "")
    assert one.shape == (1,)
    assert 0 < one[0] < 1


def test_blocks_get_roles() -> None:
    html = """<body><nav><a href=/>home</a></nav><h1>Bees</h1><p>They fly to the clover.</p><ul><li>queen</ul>
        <pre><code>x = 1</code></pre><figure><figcaption>A bee</figcaption></figure>
        <form><label>Name</label></form><footer>imprint</footer><p><a href=/more>more</a></p>"""
    page = read_page(html.encode(), None)
    content = [block for block in page.blocks if block.text not in ("home", "Name", "imprint", "more")]
    expected = ["nav", "title", "body", "list", "code", "caption", "form", "footer", "nav"]
    assert roles(page, content) == expected
    assert set(expected) <= set(ROLES)
