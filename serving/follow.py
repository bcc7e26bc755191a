"""Following the pointer: a long-lived process answers from whatever version is live, without a restart."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from models.encoder import Encoder, SparseEncoder
from schemas.errors import BundleError
from schemas.vectors import query_encoder
from serving.search import WINDOW, Index, open_index
from warehouse.pointer import live_pointer

# A version that was refused again and again is tried at every so many looks: a try may read, or fetch, all of it.
MOST_LOOKS = 64


class LiveIndex:
    """The live index version of a corpus.

    `current` is replaced in one assignment, so that a query that began on one version ends on it.

    Args:
        root, open_encoder, count_tokens, window, open_sparse_encoder: see `open_index`.

    Attributes:
        current: the version that answers.
        problem: why the version that the pointer names is not served; empty when it is.

    Raises:
        BundleError: nothing is published, or the live bundle is missing, damaged or too new.
    """

    def __init__(
        self,
        root: str | Path,
        open_encoder: Callable[[], Encoder],
        count_tokens: Callable[[str], int],
        window: int = WINDOW,
        open_sparse_encoder: Callable[[], SparseEncoder] | None = None,
    ) -> None:
        self._root = root
        sparse = cache(open_sparse_encoder) if open_sparse_encoder else None
        self._open = partial(open_index, root, cache(open_encoder), count_tokens, window, sparse, verify=True)
        self.current: Index = self._open()
        self.problem = ""
        self._refused, self._looks = "", 0

    def follow(self) -> bool:
        """Take up the version that the pointer names, unless it already answers. True if that changed `current`.

        A version that is damaged, or of another encoder, is refused: the one that answered before goes on. It is
        tried again at the next look, then ever more seldom.
        """
        try:
            index_id = live_pointer(self._root).index_id
            if index_id == self.current.index_id:
                self.problem = ""
                return False
            if self._waits(index_id):
                return False
            found = self._open()
            found.bundle.refuse_other_encoder(query_encoder(self.current.bundle.manifest.encoder_id))
        except BundleError as error:
            self.problem = str(error)
            return False
        self.current, self.problem, self._refused = found, "", ""
        return True

    def _waits(self, index_id: str) -> bool:
        """Whether a version that was refused before is not tried at this look."""
        self._looks = self._looks + 1 if index_id == self._refused else 1
        self._refused = index_id
        is_power_of_two = self._looks & (self._looks - 1) == 0
        return not is_power_of_two and self._looks % MOST_LOOKS != 0
