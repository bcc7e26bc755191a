"""Unit vectors out of what a model made."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schemas.errors import ModelError


def unit_rows(rows: ArrayLike, dimension: int | None = None) -> NDArray[np.float32]:
    """The first `dimension` numbers of each row, scaled to norm 1; a row of zeros stays one.

    Models trained for it put most of a text's meaning into the first numbers (Matryoshka representation learning,
    Kusupati and others, arXiv 2205.13147). Scaled in float32, whatever the model's precision.

    >>> unit_rows([[3.0, 4.0, 12.0]], 2).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    cut = np.asarray(rows, np.float32)[:, :dimension]
    return np.asarray(cut / np.maximum(np.linalg.norm(cut, axis=1, keepdims=True), np.finfo(np.float32).tiny))


def cut_dimension(asked: int | None, of_model: int, folder: Path) -> int:
    """Length of the vectors that are kept.

    Raises:
        ModelError: more is asked for than the model makes.
    """
    if asked is not None and asked > of_model:
        raise ModelError(
            f"its vectors have {of_model} dimensions, not {asked}",
            where=str(folder),
            remedy="Set a smaller dimension under [encoder], or none",
        )
    return asked or of_model
