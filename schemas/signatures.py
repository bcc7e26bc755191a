"""Signatures: what tells documents with the same text apart from those that have it first."""

from datetime import date

import pyarrow as pa

from schemas.table import Table, column, none_where

SIGNATURES = Table(
    name="signatures",
    comment="What the text of one document looks like, and the document it repeats, if it does. Live while that is.",
    columns=(
        column("doc_id", pa.string(), "document it is of"),
        column("url", pa.string(), "canonical URL of the document"),
        column("text_hash", pa.string(), "hash of the normalised title and text: equal hashes are exact duplicates"),
        column("minhash", pa.binary(), "MinHash of the text's shingles, 32 bits a slot; null if too short", null=True),
        column("buckets", pa.list_(pa.int64()), "LSH buckets: two documents are compared if they share one"),
        column("duplicate_of", pa.string(), "doc_id of the kept copy; null where this is one", null=True),
        column("similarity", pa.float64(), "estimated Jaccard similarity to the kept copy; 1 if exact", null=True),
        column("kept_text_hash", pa.string(), "text_hash that the kept copy had when they were compared", null=True),
        column("signer_id", pa.string(), "fingerprint of what signed and compared it, settings included"),
        column("body_hash", pa.string(), "hash of the page body the document was extracted from"),
        column("extractor_id", pa.string(), "extractor of the document"),
        column("ds", pa.date32(), "logical date of the page the document came from"),
        column("live", pa.bool_(), "false once its document is gone"),
        column("run_id", pa.string(), "run that wrote the row"),
    ),
    key=("doc_id",),
    live="live",
    expectations=(
        none_where("not_its_own_duplicate", "duplicate_of = doc_id", "no document is a duplicate of itself"),
        none_where(
            "duplicates_compared",
            "(duplicate_of is null) != (similarity is null) or (duplicate_of is null) != (kept_text_hash is null)",
            "a duplicate says how similar it is to what, and a kept document does not",
        ),
        none_where(
            "similarity_bounded", "similarity < 0.5 or similarity > 1", "a similarity is one, and not a low one"
        ),
    ),
    example={
        "doc_id": "1b645389247392bb8a5a1f0f7f1c2a90",
        "url": "http://pydoc.localhost/topic?key=MAPPINGS",
        "text_hash": "6bb4837eb74329105ee4568dda7dc67e",
        "minhash": b"\x1f\x8b\x0c\x00",
        "buckets": [-4215512083210713, 90211340557102],
        "duplicate_of": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "similarity": 0.99,
        "kept_text_hash": "9e107d9d372bb6826bd81d3542a419d6",
        "signer_id": "c4ca4238a0b923820dcc509a6f75849b",
        "body_hash": "3a7bd3e2360a3d29eea436fcfb7e44c7",
        "extractor_id": "9d5ed678fe57bcca610140957afab571",
        "ds": date(2026, 11, 23),
        "live": True,
        "run_id": "20261123T020000-3f9a",
    },
)
