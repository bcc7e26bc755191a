"""What a second extractor, trafilatura, says about each block: its text is evidence, ours is what is kept."""

from collections.abc import Sequence

from schemas.errors import SetupError
from tasks.extraction.blocks import Block

_LONG = 200
_STRETCH = 80
_STARTS = (0, 60)


def kept_by_trafilatura(blocks: Sequence[Block], html: str) -> list[bool]:
    """Whether trafilatura (Barbaresi, ACL 2021 demonstrations) counts each block as main content.

    Raises:
        SetupError: trafilatura is not installed.
    """
    try:
        import trafilatura  # here, because it takes half a second that the fast way does not need
    except ImportError as error:
        raise SetupError("method 'careful' needs trafilatura", remedy="Run make install") from error
    text = trafilatura.extract(html, include_comments=False, include_tables=True) or ""
    reference = " ".join(text.split())
    return [_is_in(block, reference) for block in blocks]


def _is_in(block: Block, reference: str) -> bool:
    """All of a short block, some stretch of a long one, most cells of a row."""
    if block.cells:
        cells = [cell for cell in block.cells if cell]
        return 2 * sum(cell in reference for cell in cells) > len(cells)
    text = " ".join(block.text.split())
    stretches = [text[start : start + _STRETCH] for start in _STARTS] if len(text) > _LONG else []
    return text in reference or any(stretch in reference for stretch in stretches)
