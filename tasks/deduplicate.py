"""Duplicate documents: what a text looks like, and which of those that look the same is kept.

A document is compared with kept ones alone, so duplicates never form chains: whatever is called a duplicate is as
similar to its kept copy as the corpus file asks.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rensa import RMinHash

from schemas.corpus import DeduplicateSettings
from schemas.documents import DOCUMENTS
from schemas.hashing import digest, fingerprint, normalise
from schemas.hashing import text_hash as hash_of_text
from schemas.signatures import SIGNATURES
from tasks.outcome import Outcome

CODE_VERSION = 1
"""Raised by every change that can change a signature or a verdict."""

SHINGLE_WORDS = 5
# The standard error of an estimate is sqrt(J (1 - J) / SLOTS): 0.014 at a Jaccard similarity J of 0.95.
SLOTS = 256
SEED = 20261123
MOST_MISSED = 0.02

_INHERITED = ("body_hash", "extractor_id", "ds", "live")
SOURCE = pa.schema(
    [
        *(DOCUMENTS.schema.field(name) for name in ("doc_id", "url", "title", "text", *_INHERITED)),
        pa.field("was_kept", pa.bool_(), nullable=False),
        pa.field("was_duplicate_of", pa.string()),
    ]
)
"""A document and what was last decided about it."""

KEPT = pa.schema([SIGNATURES.schema.field(name) for name in ("doc_id", "url", "text_hash", "minhash", "buckets")])
"""What a document is compared with."""

_VERDICT = ("duplicate_of", "similarity", "kept_text_hash")
_SIGNED = (*KEPT.names, "signer_id", *_INHERITED)
_SIGNED_SCHEMA = pa.schema([*(SIGNATURES.schema.field(name) for name in _SIGNED), *list(SOURCE)[-2:]])
_JUDGED_SCHEMA = pa.schema([SIGNATURES.schema.field(name) for name in (*_SIGNED, *_VERDICT)])


@lru_cache
def signer_id(settings: DeduplicateSettings) -> str:
    """Fingerprint of all that decides a signature and a verdict: code, library, settings."""
    library = {"rensa": version("rensa"), "algorithm": RMinHash.ALGORITHM_VERSION}
    return fingerprint({"code": CODE_VERSION, "library": library, "similarity": settings.similarity})


def sign_documents(documents: pa.Table, settings: DeduplicateSettings) -> Outcome:
    """Sign every document.

    Args:
        documents: columns of `SOURCE`.

    Returns:
        Rows of the signatures table that still lack a verdict, with `was_kept` and `was_duplicate_of` as they came;
        there are no rejections.
    """
    made_by = {"signer_id": signer_id(settings)}
    rows = [row | _signature(row, settings.similarity) | made_by for row in documents.to_pylist()]
    return Outcome(pa.Table.from_pylist(rows, schema=_SIGNED_SCHEMA))


def _signature(document: Mapping[str, Any], similarity: float) -> dict[str, Any]:
    # The title stands above every passage that a model sees: short pages of one text under two titles are two pages.
    # Where a page has none its URL stands there, and says nothing.
    title = "" if document["title"] == document["url"] else document["title"]
    text_hash = hash_of_text([title], document["text"])
    minhash = minhash_of(document["text"], similarity)
    return {"text_hash": text_hash, "minhash": minhash, "buckets": buckets_of(text_hash, minhash, similarity)}


def shingles(text: str) -> list[str]:
    """Every run of `SHINGLE_WORDS` words that white space sets apart, as they are written.

    A script without spaces gives few and long words, so that its documents are compared more strictly, never less.
    """
    words = normalise(text).split(" ")
    return [" ".join(words[start : start + SHINGLE_WORDS]) for start in range(len(words) - SHINGLE_WORDS + 1)]


def minhash_of(text: str, similarity: float) -> bytes | None:
    """MinHash (Broder 1997) of a text, `SLOTS` numbers of 32 bits, or None where it is too short for one.

    One other word in the middle changes `SHINGLE_WORDS` shingles on both sides: of n they leave a Jaccard similarity
    of (n - SHINGLE_WORDS) / (n + SHINGLE_WORDS). A text of so few shingles that even this is below `similarity`
    could pass by the estimate's error alone.
    """
    found = shingles(text)
    if len(found) * (1 - similarity) < SHINGLE_WORDS * (1 + similarity):
        return None
    sketch = RMinHash(num_perm=SLOTS, seed=SEED)
    sketch.update(found)
    return np.array(sketch.digest(), dtype="<u4").tobytes()


@lru_cache
def rows_per_band(similarity: float) -> int:
    """Most slots in a band with which at most `MOST_MISSED` of the pairs just that similar share no bucket.

    With b bands of r slots a pair of Jaccard similarity J shares none with probability (1 - J^r)^b (Mining of
    Massive Datasets, section 3.4.2). More slots in a band are fewer pairs compared in vain.
    """
    sizes = [1 << power for power in range(SLOTS.bit_length())]
    return max(size for size in sizes if size == 1 or (1 - similarity**size) ** (SLOTS // size) <= MOST_MISSED)


def buckets_of(text_hash: str, minhash: bytes | None, similarity: float) -> list[int]:
    """LSH buckets: one of the text as a whole, and one of each band of the MinHash."""
    width = 4 * rows_per_band(similarity)
    bands = [] if minhash is None else [minhash[start : start + width] for start in range(0, len(minhash), width)]
    return [_bucket("text", text_hash), *(_bucket(str(number), band) for number, band in enumerate(bands))]


def _bucket(*parts: str | bytes) -> int:
    return int.from_bytes(bytes.fromhex(digest(*parts))[:8], "little", signed=True)


@dataclass(frozen=True)
class Verdict:
    """The kept copy that a document repeats, and how similar the two are."""

    kept: Mapping[str, Any]
    similarity: float


def judge(signed: pa.Table, kept: pa.Table, similarity: float) -> pa.Table:
    """Say of every document whether it is kept or which kept one it repeats.

    The verdicts do not depend on the order of rows: documents that were kept come first, then those with the shortest
    URL, then the smallest; of several copies a document stays with the one it had, or goes to the most similar.

    Args:
        signed: what `sign_documents` made.
        kept: columns of `KEPT`: documents that are kept, none of them among `signed`. It is enough to hand in those
            that share a bucket with one of `signed`.
        similarity: least estimated Jaccard similarity of near duplicates; at 1 only exact ones are found.

    Returns:
        Rows of the signatures table without `run_id`.
    """
    copies = Kept(kept.select(KEPT.names).to_pylist())
    rows = []
    for row in sorted(signed.to_pylist(), key=lambda row: (not row["was_kept"], *_preference(row))):
        verdict = copies.nearest(row, similarity)
        if verdict is None:
            copies.add(row)
        rows.append(row | _columns(verdict))
    return pa.Table.from_pylist(rows, schema=_JUDGED_SCHEMA)


def _preference(row: Mapping[str, Any]) -> tuple[int, str]:
    return len(row["url"]), row["url"]


def _columns(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return dict.fromkeys(_VERDICT)
    values = (verdict.kept["doc_id"], verdict.similarity, verdict.kept["text_hash"])
    return dict(zip(_VERDICT, values, strict=True))


class Kept:
    """Kept documents, found by their buckets."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._by_bucket: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep one more."""
        for bucket in row["buckets"]:
            self._by_bucket[bucket].append(row)

    def nearest(self, row: Mapping[str, Any], similarity: float) -> Verdict | None:
        """The copy that a document repeats, if it repeats one."""
        sharing = {kept["doc_id"]: kept for bucket in row["buckets"] for kept in self._by_bucket.get(bucket, ())}
        compared = [Verdict(kept, resemblance(row, kept)) for kept in sharing.values()]
        near = [verdict for verdict in compared if verdict.similarity >= similarity]
        return min(near, key=lambda verdict: _order(row, verdict), default=None)


def _order(row: Mapping[str, Any], verdict: Verdict) -> tuple[bool, bool, float, int, str]:
    other_than_before = verdict.kept["doc_id"] != row["was_duplicate_of"]
    other_text = verdict.kept["text_hash"] != row["text_hash"]
    return (other_than_before, other_text, -verdict.similarity, *_preference(verdict.kept))


def resemblance(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Estimated Jaccard similarity of two signed texts: 1 for equal ones, 0 where one is too short for an estimate."""
    if one["text_hash"] == other["text_hash"]:
        return 1.0
    if one["minhash"] is None or other["minhash"] is None:
        return 0.0
    return float(np.mean(_slots(one["minhash"]) == _slots(other["minhash"])))


def _slots(minhash: bytes) -> NDArray[np.uint32]:
    return np.frombuffer(minhash, dtype="<u4")
