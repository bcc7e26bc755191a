"""The text of a passage as every model sees it."""

from collections.abc import Sequence

GIVEN = "given"
"""extractor_id and chunker_id of a passage that came as it is: nothing extracted or cut it."""


def passage_text(heading_path: Sequence[str], text: str) -> str:
    """Heading path on one line, then the passage: the same words that `text_hash` is made from."""
    return f"{' > '.join(heading_path)}\n{text}" if heading_path else text
