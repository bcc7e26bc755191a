"""sentence-transformers inside this process."""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.batches import in_batches
from models.dense_vector import cut_dimension, unit_rows
from models.encoder import Encoded
from models.environment import prepare_environment
from models.folders import model_id
from models.precision import Precision, device_for, in_precision, loaded_as
from models.tokens import TokenCounter
from schemas.corpus import EncoderSettings
from schemas.errors import ModelError
from schemas.hashing import fingerprint

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# What the library's own models call the prompts of either side.
QUERY_PROMPTS = ("query",)
PASSAGE_PROMPTS = ("document", "passage", "corpus")


def sentence_transformer_id(folder: Path, settings: EncoderSettings) -> str:
    """Fingerprint of an encoder: its folder (weights, tokenizer, pooling, prompts), settings and libraries."""
    names = ["sentence-transformers", "transformers"]
    if settings.backend == "openvino":
        names.append("openvino")
    libraries = [f"{name} {version(name)}" for name in names]
    return fingerprint(
        {
            "model": model_id(folder),
            "prompts": [settings.passage_prompt, settings.query_prompt],
            "dimension": settings.dimension,
            "precision": settings.precision,
            "libraries": libraries,
        }
    )


class SentenceTransformerEncoder:
    """A sentence-transformers model, with the prompts that it was trained with unless others are set.

    Args:
        folder: of the model.

    Raises:
        ModelError: the folder holds no model that sentence-transformers opens, or its backend runs, or its vectors are
            shorter than is asked for.
    """

    def __init__(self, folder: Path, settings: EncoderSettings) -> None:
        self._model = _open(folder, settings)
        self._folder = folder
        self._batch_size = settings.batch_size
        self._counter = TokenCounter(folder, self._model.max_seq_length)
        prompts = self._model.prompts
        self._passage_prompt = _prompt(settings.passage_prompt, prompts, PASSAGE_PROMPTS)
        self._query_prompt = _prompt(settings.query_prompt, prompts, QUERY_PROMPTS)
        self.encoder_id = sentence_transformer_id(folder, settings)
        self.dimension = cut_dimension(settings.dimension, int(self._model.get_embedding_dimension() or 0), folder)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """See `Encoder.encode`."""
        return self._encode(texts, self._passage_prompt, self._model.encode_document)

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """See `Encoder.encode_queries`."""
        return self._encode(texts, self._query_prompt, self._model.encode_query)

    def _encode(self, texts: Sequence[str], prompt: str, encode: Callable[..., NDArray[Any]]) -> Encoded:
        counts = self._counter.count([prompt + text for text in texts])
        vectors = np.empty((len(texts), self.dimension), np.float32)

        def made(places: list[int]) -> NDArray[Any]:
            batch = [texts[place] for place in places]
            return encode(batch, prompt=prompt, batch_size=len(batch), show_progress_bar=False)

        try:
            for places, rows in in_batches(counts, self._batch_size, made, self._model.device.type):
                vectors[places] = unit_rows(rows, self.dimension)
        except RuntimeError as error:
            raise ModelError(
                f"the model fails: {' '.join(str(error).split())[:300]}",
                where=str(self._folder),
                remedy="If memory is short, set a smaller batch_size under [encoder]",
            ) from error
        return Encoded(vectors, tokens=sum(counts))


def _open(folder: Path, settings: EncoderSettings) -> "SentenceTransformer":
    prepare_environment()
    if settings.backend == "torch":
        model = _loaded(folder, device_for(settings.precision), settings.precision)
        return in_precision(model, settings.precision)
    from models.openvino import run_by_openvino

    return run_by_openvino(_loaded(folder, "cpu", "float32"), settings.precision, folder)


def _loaded(folder: Path, device: str, precision: Precision) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(
            str(folder), local_files_only=True, device=device, model_kwargs={"dtype": loaded_as(precision)}
        )
    except Exception as error:  # the libraries underneath raise types of their own
        raise ModelError(f"sentence-transformers cannot open it: {error}", where=str(folder)) from error
    return model.eval()


def _prompt(asked: str | None, prompts: Mapping[str, str | None], names: Sequence[str]) -> str:
    """The prompt that is set, or the model's own under the first of the names that has one."""
    own = (prompts.get(name) for name in names)
    return asked if asked is not None else next(filter(None, own), "")
