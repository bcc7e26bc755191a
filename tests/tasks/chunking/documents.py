"""Documents for properties: every kind of block, in any order, and text that is no Markdown at all."""

from hypothesis import strategies as st

from schemas.hashing import digest

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
DOCUMENTS = st.lists(BLOCKS, max_size=12).map("\n\n".join)


def paragraph(number: int, length: int = 15) -> str:
    """A sentence of made-up words that no other number has."""
    return " ".join(digest(str(number), str(word))[:5] for word in range(length)) + "."
