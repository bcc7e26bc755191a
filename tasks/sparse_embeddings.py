"""The sparse stage: every distinct live text gets one learned sparse vector."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.encoder import SparseEncoder
from models.opening import open_sparse_encoder
from schemas.corpus import SparseEncoderSettings
from schemas.sparse_embeddings import SPARSE_EMBEDDINGS
from tasks.composition import PLAIN, Composition
from tasks.embeddings import encoding_job, labour_of, live_texts, rows_of
from tasks.job import Job, run_job
from tasks.outcome import Outcome
from tasks.run import Stage


def embed_sparsely(
    stage: Stage, encoder_id: str, open_encoder: Callable[[], SparseEncoder], composition: Composition = PLAIN
) -> None:
    """Encode the texts that this encoder has no vector of; it is loaded only when there are any."""
    run_job(stage, sparse_encoding(stage, encoder_id, open_encoder, composition))


def sparse_encoding(
    stage: Stage, encoder_id: str, open_encoder: Callable[[], SparseEncoder], composition: Composition = PLAIN
) -> Job:
    """Texts of live chunks in, sparse vectors out."""
    settings = stage.run.corpus.sparse_encoder
    where = settings.where if settings else "here"
    opened = partial(_opened, settings) if settings and where == "spark" else open_encoder
    labour = labour_of(where, SPARSE_EMBEDDINGS, partial(_encode, opened, composition), composition)
    return encoding_job(stage, SPARSE_EMBEDDINGS, encoder_id, labour, composition, live_texts(stage))


@cache
def _opened(settings: SparseEncoderSettings) -> SparseEncoder:
    """The encoder of a Python worker of Spark's, which stays for its other tasks."""
    return open_sparse_encoder(settings)


def _encode(opened: Callable[[], SparseEncoder], composition: Composition, sources: pa.Table) -> Outcome:
    return encode_sparsely(sources, opened(), composition)


def encode_sparsely(sources: pa.Table, encoder: SparseEncoder, composition: Composition = PLAIN) -> Outcome:
    """Sparse vectors of a batch of texts. A text in which the encoder finds no term has a vector without terms.

    Args:
        sources: with the columns of `composition.sources`.
    """
    encoded = encoder.encode(composition.texts_of(sources))
    vectors = {
        "terms": _lists([vector.terms for vector in encoded.vectors], pa.int32()),
        "weights": _lists([vector.weights for vector in encoded.vectors], pa.float32()),
    }
    return Outcome(rows_of(sources, encoder.encoder_id, composition, vectors), prompt_tokens=encoded.tokens)


def _lists(arrays: "Sequence[NDArray[Any]]", of: pa.DataType) -> "pa.ListArray[Any]":
    offsets = np.cumsum([0, *map(len, arrays)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(np.concatenate(arrays), of))
