"""The learned sparse index: one sparse vector per distinct text, searched exactly by inner product.

An inverted file of the weights as the encoder gave them, so that scores are what the encoder means by likeness.
Seismic (arXiv 2404.18812) finds approximate neighbours and BMP (arXiv 2405.01117) rounds weights to eight bits; both
read a copy of the whole index into memory, and neither takes in a new segment. `bench.index` has Seismic beside it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.encoder import SparseVector
from schemas.errors import BundleError
from warehouse.postings import Queries, open_postings, write_postings
from warehouse.segments import Found, Texts

SPARSE_FOLDER = "sparse"


def write_sparse(folder: Path, text_hashes: pa.StringArray, vectors: pa.Table) -> None:
    """Write an inverted file over the sparse vectors of texts, in the order of the texts.

    Args:
        vectors: `text_hash`, `terms` and `weights`, in any order; other texts may be among them.

    Raises:
        BundleError: a text has no sparse vector.
        OSError: the disk is full or cannot be written.
    """
    from scipy.sparse import csr_matrix

    position = pc.index_in(text_hashes, value_set=vectors["text_hash"].combine_chunks())
    if position.null_count:
        raise BundleError(
            f"{position.null_count:,} of {len(text_hashes):,} texts have no sparse vector",
            where="sparse index",
            remedy="Encode them first: nightjar nightly CORPUS",
        )
    rows = vectors.select(["terms", "weights"]).take(position).combine_chunks()
    terms = pc.list_flatten(rows["terms"]).to_numpy()
    weights = pc.list_flatten(rows["weights"]).to_numpy().astype(np.float32, copy=False)
    ends = np.concatenate(([0], np.cumsum(pc.list_value_length(rows["terms"]).to_numpy())))
    columns = int(terms.max()) + 1 if len(terms) else 0
    folder.mkdir(parents=True, exist_ok=True)
    write_postings(folder, csr_matrix((weights, terms, ends), (len(text_hashes), columns)).tocsc())


class SparseIndex:
    """A learned sparse index, memory-mapped.

    Args:
        folder: of the first segment.
        texts: of all segments.
        later: folders of later segments.

    Raises:
        BundleError: a folder is not readable.
    """

    def __init__(self, folder: Path, texts: Texts, *, later: Sequence[Path] = ()) -> None:
        try:
            self._segments = [open_postings(each) for each in (folder, *later)]
        except (OSError, ValueError) as error:
            raise BundleError("the sparse index is not readable", where=str(folder)) from error
        self._texts = texts

    def search(self, query: SparseVector, k: int) -> Found:
        """The k texts with the largest inner product; texts that share no term with the query are left out."""
        return self.search_many([query], k)[0]

    def search_many(self, queries: Sequence[SparseVector], k: int) -> list[Found]:
        """As `search`, for many queries at once."""
        alive = self._texts.alive_by_segment
        found = [
            lists.plain(_within(queries, lists.columns), here, min(k, len(here)))
            for lists, here in zip(self._segments, alive, strict=True)
        ]
        return self._texts.best(found, k).each()


def _within(queries: Sequence[SparseVector], columns: int) -> Queries:
    """The queries without terms beyond those that a segment has lists of."""
    held = [query.terms < columns for query in queries]
    pairs = list(zip(queries, held, strict=True))
    return Queries.of([(query.terms[known], query.weights[known]) for query, known in pairs])
