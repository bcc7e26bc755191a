"""Small index versions for tests, made of sentences and the fake encoder."""

from collections.abc import Mapping, Sequence
from hashlib import md5
from pathlib import Path

import pyarrow as pa

from models.encoder import Encoded
from models.fake import FAKE_ENCODER_ID, FAKE_SPARSE_ENCODER_ID, FakeEncoder, FakeSparseEncoder
from schemas.chunks import CHUNKS
from schemas.embeddings import EMBEDDINGS
from schemas.features import FEATURES
from schemas.hashing import digest, text_hash
from schemas.passage import passage_text
from schemas.sparse_embeddings import SPARSE_EMBEDDINGS
from schemas.synthetic_queries import SYNTHETIC_QUERIES
from warehouse.bundle import Bundle, Source, build_bundle
from warehouse.pointer import read_pointer, swap_pointer

HEADINGS = ["Guide"]
SENTENCES = (
    "Bisection keeps a list in sorted order.",
    "A heap gives the smallest item first.",
    "Regular expressions match patterns in strings.",
    "Generators yield values one at a time.",
    "Threads share memory and need locks.",
    "Sockets send bytes between machines.",
)


class RecordingEncoder(FakeEncoder):
    """Keeps the texts it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> Encoded:
        self.texts.extend(texts)
        return super().encode(texts)


def hash_of(sentence: str) -> str:
    """text_hash of a passage that says the sentence under `HEADINGS`."""
    return text_hash(HEADINGS, sentence)


def chunks_of(sentences: Sequence[str]) -> pa.Table:
    """One passage a sentence, each of a page of its own; a sentence may come twice."""
    rows = [
        {
            **CHUNKS.example,
            "chunk_id": digest(str(position), sentence),
            "doc_id": digest(str(position)),
            "url": f"http://docs.test/{position}.html",
            "heading_path": HEADINGS,
            "text": sentence,
            "text_hash": hash_of(sentence),
        }
        for position, sentence in enumerate(sentences)
    ]
    return CHUNKS.rows(rows)


def late_hash(text: str) -> str:
    """Hash in `embeddings` of a text that is encoded by itself."""
    return md5(f"late:{text}".encode()).hexdigest()


def vectors_for(sentences: Sequence[str] | Mapping[str, str]) -> pa.Table:
    """Rows of `embeddings` for the sentences' passages, by the fake encoder.

    Args:
        sentences: distinct or not, or what is encoded of each.
    """
    read = sentences if isinstance(sentences, Mapping) else {sentence: sentence for sentence in sentences}
    vectors = FakeEncoder().encode([passage_text(HEADINGS, text) for text in read.values()]).vectors
    rows = [
        {"text_hash": hash_of(sentence), "encoder_id": FAKE_ENCODER_ID, "vector": vector.tolist(), "run_id": "test"}
        for sentence, vector in zip(read, vectors, strict=True)
    ]
    return EMBEDDINGS.rows(rows)


def features_for(keywords: Mapping[str, str], recipe_id: str = "recipe", feature: str = "keywords") -> pa.Table:
    """Rows of `features`: what a recipe wrote about some sentences."""
    rows = [
        {**FEATURES.example, "text_hash": hash_of(sentence), "feature": feature, "recipe_id": recipe_id, "text": text}
        for sentence, text in keywords.items()
    ]
    return FEATURES.rows(rows)


def queries_for(kept: Mapping[str, bool | None], sample: int = 0, run_id: str = "test") -> pa.Table:
    """Rows of `synthetic_queries` of the recipe "asked": one query about each sentence, and its verdict."""
    rows = [
        {
            **SYNTHETIC_QUERIES.example,
            "text_hash": hash_of(sentence),
            "recipe_id": "asked",
            "sample": sample,
            "query": f"about {sentence}",
            "round_trip_rank": None if verdict is None else 1 if verdict else 0,
            "kept": verdict,
            "run_id": run_id,
        }
        for sentence, verdict in kept.items()
    ]
    return SYNTHETIC_QUERIES.rows(rows)


def sparse_vectors_for(sentences: Sequence[str]) -> pa.Table:
    """Rows of `sparse_embeddings` for the sentences' passages, without their headings, by the fake sparse encoder."""
    distinct = list(dict.fromkeys(sentences))
    rows = [
        {
            "text_hash": hash_of(sentence),
            "encoder_id": FAKE_SPARSE_ENCODER_ID,
            "terms": vector.terms.tolist(),
            "weights": vector.weights.tolist(),
            "run_id": "test",
        }
        for sentence, vector in zip(distinct, FakeSparseEncoder().encode(distinct).vectors, strict=True)
    ]
    return SPARSE_EMBEDDINGS.rows(rows)


def source_of(sentences: Sequence[str] = SENTENCES, features: pa.Table | None = None, sparse: bool = False) -> Source:
    """What an index over the sentences is made from."""
    written = features_for({}) if features is None else features
    versions = {"chunks": 3, "embeddings": 2}
    sparse_id = FAKE_SPARSE_ENCODER_ID if sparse else None
    return Source(chunks_of(sentences), written, FAKE_ENCODER_ID, versions, sparse_encoder_id=sparse_id)


def built(
    root: str | Path, sentences: Sequence[str] = SENTENCES, features: pa.Table | None = None, *, sparse: bool = False
) -> Bundle:
    """A bundle over the sentences, not published."""
    sparse_vectors = sparse_vectors_for(sentences) if sparse else None
    return build_bundle(root, source_of(sentences, features, sparse), vectors_for(sentences), sparse_vectors)


def published(
    root: str | Path, sentences: Sequence[str] = SENTENCES, features: pa.Table | None = None, *, sparse: bool = False
) -> Bundle:
    """A bundle over the sentences, live."""
    bundle = built(root, sentences, features, sparse=sparse)
    live = read_pointer(root)
    swap_pointer(root, bundle.manifest.index_id, expected=live.index_id if live else None)
    return bundle
