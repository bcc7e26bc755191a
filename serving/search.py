"""Search in the published index of a corpus."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoder import Encoder, SparseEncoder
from schemas.errors import BundleError, NightjarError, UnknownName
from serving.fusion import Fusion
from serving.prf import Composed, compose
from warehouse.bundle import Bundle, open_version
from warehouse.pointer import live_pointer
from warehouse.segments import Found

MODES = ("dense", "lexical", "sparse", "hybrid")
# Results of each kind that are fused, as deep as a list of results can reasonably be read.
FUSED_DEPTH = 100
# Window of all-MiniLM-L6-v2; a longer text is cut by the encoder.
WINDOW = 256

# Dense and lexical, by reciprocal ranks.
USUAL = Fusion()

Scored = list[tuple[int, float]]


@dataclass(frozen=True)
class Hit:
    """One result.

    Attributes:
        rank: from 1.
        score: inner product, BM25 or fused; comparable within one answer only.
        start, end: characters of the document's text that the passage is, end not included.
        number: of the text in this index version.
        index_id: index version that gave the answer.
        licence: licence or rights of the page, as it says; None where it says nothing.
        ds: logical date of the page, YYYY-MM-DD; None in an index version from before they were kept.
    """

    rank: int
    score: float
    title: str
    url: str
    heading_path: tuple[str, ...]
    text: str
    chunk_id: str
    doc_id: str
    kind: str
    start: int
    end: int
    number: int
    index_id: str
    licence: str | None = None
    ds: str | None = None


def open_index(
    root: str | Path,
    open_encoder: Callable[[], Encoder],
    count_tokens: Callable[[str], int],
    window: int = WINDOW,
    open_sparse_encoder: Callable[[], SparseEncoder] | None = None,
    *,
    verify: bool = False,
) -> "Index":
    """Open the live index version under a warehouse's root.

    Args:
        open_encoder: loads the encoder; called when a query first needs it, never by lexical search.
        count_tokens: tokens of a text in the encoder's tokenizer.
        window: most tokens of a text that the encoder reads.
        open_sparse_encoder: loads the sparse encoder, for indexes with learned sparse vectors.
        verify: compute the checksum of every file first.

    Raises:
        BundleError: nothing is published, or the live bundle is missing, damaged or too new.
    """
    return Index(_open_live(root, verify=verify), open_encoder, count_tokens, window, open_sparse_encoder)


class Index:
    """An open index version. It stays the same version whatever is published meanwhile."""

    def __init__(
        self,
        bundle: Bundle,
        open_encoder: Callable[[], Encoder],
        count_tokens: Callable[[str], int],
        window: int,
        open_sparse_encoder: Callable[[], SparseEncoder] | None = None,
    ) -> None:
        self.bundle = bundle
        self._open_encoder = open_encoder
        self._count_tokens = count_tokens
        self._window = window
        self._open_sparse_encoder = open_sparse_encoder

    @property
    def index_id(self) -> str:
        """Index version."""
        return self.bundle.manifest.index_id

    @property
    def features(self) -> list[str]:
        """Names of the features that `search` can give feedback with."""
        return sorted(self.bundle.stored.feature_names)

    @property
    def modes(self) -> tuple[str, ...]:
        """Modes that `search` can answer in: sparse where the index has learned sparse vectors, and their encoder."""
        has_sparse = self.bundle.manifest.sparse_encoder_id is not None and self._open_sparse_encoder is not None
        return tuple(mode for mode in MODES if mode != "sparse" or has_sparse)

    def search(
        self,
        query: str,
        k: int = 10,
        mode: str = "dense",
        prf: str | None = None,
        depth: int = 3,
        *,
        positional: bool = True,
        fusion: Fusion = USUAL,
    ) -> list[Hit]:
        """The k best passages; of passages with the same text, one.

        Args:
            mode: dense (inner product), lexical (BM25), sparse (learned weights), or hybrid (several of them, fused).
            prf: feature of the first pass's results that the query is written and encoded again with (PromptPRF).
                The dense query changes; other parts of a hybrid search stay the plain query.
            depth: first-pass results whose features are used; 0 is exactly the plain query.
            positional: the second query tells the rank of each passage.
            fusion: of a hybrid search.

        Raises:
            UnknownName: no such mode, or no such feature in the index.
            NightjarError: PromptPRF asked of a search without a dense part, or the index has no sparse one.
            BundleError: the encoder is not the index's.
        """
        _check(mode, prf, fusion)
        first = self._ranked(query, query, max(k, depth), mode, fusion)
        if not prf or not depth:
            return self._hits(first[:k])
        composed = self.compose(query, [number for number, _ in first[:depth]], prf, positional=positional)
        again = self._ranked(query, composed.text, k, mode, fusion) if composed.ranks else first
        return self._hits(again[:k])

    def compose(self, query: str, numbers: Sequence[int], feature: str, *, positional: bool = True) -> Composed:
        """The second query, from the features of the texts with these numbers, in the order of their ranks.

        Raises:
            UnknownName: no such feature in the index.
        """
        feedback = self.bundle.stored.features(numbers, feature)
        label = feature.partition("@")[0]
        return compose(
            query,
            feedback,
            label,
            positional=positional,
            budget=self._window,
            count_tokens=self._count_tokens,
        )

    @cached_property
    def _encoder(self) -> Encoder:
        encoder = self._open_encoder()
        self.bundle.refuse_other_encoder(encoder.encoder_id)
        return encoder

    def _ranked(self, query: str, dense_query: str, k: int, mode: str, fusion: Fusion) -> Scored:
        """Numbers and scores of the k best texts."""
        if mode != "hybrid":
            return self._part(mode, query, dense_query, k)
        depth = max(k, FUSED_DEPTH)
        return fusion([self._part(part, query, dense_query, depth) for part in fusion.parts])[:k]

    def _part(self, part: str, query: str, dense_query: str, k: int) -> Scored:
        if part == "dense":
            return _scored(self.bundle.dense.search(self._encoded(dense_query), k))
        return _scored(self._sparse(query, k) if part == "sparse" else self.bundle.lexical.search(query, k))

    def _sparse(self, query: str, k: int) -> Found:
        if "sparse" not in self.modes:
            raise NightjarError(
                "the index has no learned sparse vectors", where=self.index_id, remedy="Ask for dense or lexical search"
            )
        return self.bundle.sparse.search(self._sparse_encoder.encode_queries([query]).vectors[0], k)

    @cached_property
    def _sparse_encoder(self) -> SparseEncoder:
        if self._open_sparse_encoder is None:
            raise ValueError("asked for only where there is one")
        encoder = self._open_sparse_encoder()
        self.bundle.refuse_other_sparse_encoder(encoder.encoder_id)
        return encoder

    def _encoded(self, text: str) -> NDArray[np.float32]:
        return self._encoder.encode_queries([text]).vectors

    def _hits(self, scored: Scored) -> list[Hit]:
        passages = self.bundle.stored.passages([number for number, _ in scored])
        return [
            _hit(rank, score, number, passage, self.index_id)
            for rank, ((number, score), passage) in enumerate(zip(scored, passages, strict=True), start=1)
        ]


def _open_live(root: str | Path, *, verify: bool) -> Bundle:
    pointer = live_pointer(root)
    try:
        return open_version(root, pointer.index_id, verify=verify)
    except BundleError:
        # It may have been replaced and retired since the pointer was read.
        if live_pointer(root) == pointer:
            raise
        return _open_live(root, verify=verify)


def _check(mode: str, prf: str | None, fusion: Fusion) -> None:
    if mode not in MODES:
        raise UnknownName("mode", mode, MODES)
    if prf and "dense" not in (fusion.parts if mode == "hybrid" else (mode,)):
        raise NightjarError(
            f"PromptPRF encodes the query again, which {mode} search never does",
            remedy="Ask for mode dense, or hybrid with a dense part, or leave the feature out",
        )


def _scored(found: Found) -> Scored:
    return list(zip(found.numbers[0].tolist(), found.scores[0].tolist(), strict=True))


def _hit(rank: int, score: float, number: int, passage: dict[str, Any], index_id: str) -> Hit:
    heading_path = tuple(passage["heading_path"])
    return Hit(
        rank=rank,
        score=score,
        title=heading_path[0] if heading_path else passage["url"],
        url=passage["url"],
        heading_path=heading_path,
        text=passage["text"],
        chunk_id=passage["chunk_id"],
        doc_id=passage["doc_id"],
        kind=passage["kind"],
        start=passage["start"],
        end=passage["end"],
        number=number,
        index_id=index_id,
        licence=passage.get("licence"),
        ds=passage.get("ds"),
    )
