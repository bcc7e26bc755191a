"""An edit changes the passages that hold it, and reaches no farther than the units next to it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.hashing import text_hash
from tasks.chunking.chunker import Passage
from tasks.chunking.structure import StructureChunker
from tests.tasks.chunking.documents import paragraph
from tests.tasks.chunking.word_tokens import WordTokens

SECTIONS = st.lists(st.lists(st.integers(5, 40), min_size=1, max_size=12), min_size=1, max_size=8)
BUDGET = 80


def passages(text: str) -> list[Passage]:
    return StructureChunker(BUDGET, WordTokens()).passages("Title", text)


def texts(text: str) -> list[str]:
    return [text[passage.start : passage.end] for passage in passages(text)]


def hashes(text: str) -> dict[str, str]:
    """Text of every passage by its text_hash."""
    return {
        text_hash(passage.heading_path, text[passage.start : passage.end]): text[passage.start : passage.end]
        for passage in passages(text)
    }


def page(sections: list[list[str]]) -> str:
    return "\n\n".join(f"## Part {number}\n\n" + "\n\n".join(section) for number, section in enumerate(sections))


def written(lengths: list[list[int]]) -> list[list[str]]:
    return [
        [paragraph(100 * number + place, length) for place, length in enumerate(section)]
        for number, section in enumerate(lengths)
    ]


def edited(sections: list[list[str]], number: int, place: int, text: str) -> list[list[str]]:
    changed = [section.copy() for section in sections]
    changed[number][place] = text
    return changed


def one_of(draw: st.DataObject, sections: list[list[str]]) -> tuple[int, int]:
    number = draw.draw(st.integers(0, len(sections) - 1))
    return number, draw.draw(st.integers(0, len(sections[number]) - 1))


@settings(max_examples=150, deadline=None)
@given(lengths=SECTIONS, draw=st.data())
def test_a_changed_paragraph_changes_exactly_the_passage_that_holds_it(
    lengths: list[list[int]], draw: st.DataObject
) -> None:
    """Where neither its first words nor its length change; a word for a word, as a correction is."""
    sections = written(lengths)
    number, place = one_of(draw, sections)
    before = sections[number][place]
    words = before.split()
    words[-1] = "amended."
    after = " ".join(words)
    old, new = hashes(page(sections)), hashes(page(edited(sections, number, place, after)))
    assert [text for key, text in old.items() if key not in new and before not in text] == []
    changed = [text for key, text in new.items() if key not in old]
    assert len(changed) == 1
    assert after in changed[0]


@settings(max_examples=150, deadline=None)
@given(lengths=SECTIONS, draw=st.data(), added=st.integers(1, 30))
def test_a_longer_paragraph_divides_at_most_the_passage_it_was_in(
    lengths: list[list[int]], draw: st.DataObject, added: int
) -> None:
    sections = written(lengths)
    number, place = one_of(draw, sections)
    before = sections[number][place]
    after = before.removesuffix(".") + " more" * added + "."
    old, new = hashes(page(sections)), hashes(page(edited(sections, number, place, after)))
    (held,) = (text for text in old.values() if before in text)
    for text in (text for key, text in new.items() if key not in old):
        assert after in text or text in held


@settings(max_examples=300, deadline=None)
@given(lengths=SECTIONS, draw=st.data(), length=st.integers(1, 60))
def test_a_rewritten_paragraph_reaches_its_neighbours_at_most(
    lengths: list[list[int]], draw: st.DataObject, length: int
) -> None:
    sections = written(lengths)
    number, place = one_of(draw, sections)
    after = paragraph(9_999, length).removesuffix(".") + draw.draw(st.sampled_from([".", ":"]))
    near = sections[number][max(0, place - 1) : place + 2]
    old, new = hashes(page(sections)), hashes(page(edited(sections, number, place, after)))
    held = [text for text in old.values() if any(unit in text for unit in near)]
    for text in (text for key, text in new.items() if key not in old):
        assert after in text or any(unit in text for unit in near) or any(text in whole for whole in held)


def test_edit_in_a_paragraph_changes_only_passages_that_hold_it() -> None:
    paragraphs = [paragraph(number) for number in range(40)]
    before = set(texts("\n\n".join(paragraphs)))
    for number in range(40):
        edited_paragraphs = paragraphs.copy()
        edited_paragraphs[number] = edited_paragraphs[number].replace(".", " indeed.")
        changed = set(texts("\n\n".join(edited_paragraphs))) - before
        assert len(changed) == 1
        assert edited_paragraphs[number] in changed.pop()


def test_inserted_paragraph_leaves_all_but_its_neighbours_alone() -> None:
    paragraphs = [paragraph(number) for number in range(80)]
    before = set(texts("\n\n".join(paragraphs)))
    inserted = ["\n\n".join([*paragraphs[:place], "a new one", *paragraphs[place:]]) for place in range(80)]
    new = [len(set(texts(text)) - before) for text in inserted]
    assert max(new) <= 3
