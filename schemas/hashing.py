"""The hashes that key derived rows: the same content gives the same key on every machine and night."""

import hashlib
import json
import unicodedata
from collections.abc import Sequence


def digest(*parts: str | bytes) -> str:
    """32 hexadecimal digits (BLAKE2b, 128 bits) over the parts; part boundaries count.

    >>> digest("ab", "c") == digest("a", "bc")
    False
    """
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "big"))
        state.update(data)
    return state.hexdigest()


def fingerprint(value: object) -> str:
    """`digest` of a JSON-like value; the order of object keys does not count."""
    return digest(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def normalise(text: str) -> str:
    """NFC with white space squeezed: what counts as the same text to a model."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def text_hash(heading_path: Sequence[str], text: str) -> str:
    """Key of a passage's model work: its normalised text, heading path included.

    Two pages with the same paragraph under the same headings share one hash, and so one set of
    features, queries and vectors.
    """
    return digest(*(normalise(heading) for heading in heading_path), normalise(text))
