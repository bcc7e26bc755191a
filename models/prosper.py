"""PROSPER: learned sparse vectors from the last token of a causal language model, with a literal residual.

Song and others, LLMs as Sparse Retrievers for Product Search, arXiv 2510.18527. Its lexical focusing window is what
`sparse_vector` keeps: 512 terms of a passage and 256 of a query.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from models.causal import TEXT_TOKENS, CausalModel
from models.causal_sparse import CausalSparseEncoder, Reading
from models.encoder import SparselyEncoded
from models.folders import model_id, sha256_of
from models.literal_residual import literal_residual
from models.saturation import saturated
from models.sparse_vector import MostTerms, unit
from schemas.errors import ModelError
from schemas.hashing import fingerprint

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Linear

HEAD = "literal_residual.safetensors"
"""File beside the model with the trained network: `weight`, vocabulary by dimension, and `bias`, if it has one."""

POOLING = "last token, ln(1 + max(0, x)), literal residual; queries of norm 1"
PRECISION = "float32"


def prosper_id(folder: Path, most: MostTerms) -> str:
    """Fingerprint of an encoder: its folder (weights and tokenizer), its network, pooling, terms and precision.

    Raises:
        ModelError: the network is not there.
    """
    return fingerprint(
        {
            "model": model_id(folder),
            "head": _head_id(_head_file(folder)),
            "pooling": POOLING,
            "text_tokens": TEXT_TOKENS,
            "terms": [most.passage, most.query],
            "precision": PRECISION,
            "library": f"transformers {version('transformers')}",
        }
    )


class ProsperEncoder(CausalSparseEncoder):
    """A causal language model and the network that was trained with it.

    The paper does not print a prompt; a text is read as it is.

    Args:
        folder: of the model: safetensors, tokenizer and `HEAD`.
        batch_size: texts per forward pass.
        most: terms of a vector, the heaviest.

    Raises:
        ModelError: transformers does not open the folder, or the network is not there or does not fit the model.
    """

    def __init__(self, folder: Path, batch_size: int, most: MostTerms) -> None:
        identity = prosper_id(folder, most)
        model = CausalModel(folder, batch_size)
        super().__init__(model, identity, most)
        self._head = _load_head(_head_file(folder), model)
        self._beginning = model.beginning()
        self._budget = model.budget(len(self._beginning))

    def encode_queries(self, texts: Sequence[str]) -> SparselyEncoded:
        """See `SparseEncoder.encode_queries`. The score of a passage does not grow with the query's weights."""
        encoded = super().encode_queries(texts)
        return SparselyEncoded([unit(vector) for vector in encoded.vectors], encoded.tokens)

    def base_weights(self, texts: Sequence[str]) -> "Tensor":
        """The weights w before the residual, in the order of the texts: what FLOPS regularisation is told of.

        Raises:
            ModelError: the model fails.
        """
        _, logits = self._model.ends([self._read(text).ids for text in texts])
        return saturated(logits)

    def _read(self, text: str) -> Reading:
        ids = self._model.text_ids(text, self._budget)
        return Reading([*self._beginning, *ids], ids)

    def _weights(self, readings: Sequence[Reading]) -> "Tensor":
        import torch

        states, logits = self._model.ends([reading.ids for reading in readings])
        with torch.inference_mode():
            predicted = self._head(saturated(states))
            return literal_residual(saturated(logits), predicted, [reading.text for reading in readings])


def _head_file(folder: Path) -> Path:
    path = folder / HEAD
    if not path.is_file():
        raise ModelError(
            f"has no {HEAD}, the network that PROSPER adds to its literal terms",
            where=str(folder),
            remedy='Train one and lay it there, or choose engine = "echo-splade", which needs no training',
        )
    return path


@lru_cache(maxsize=4)
def _head_id(path: Path) -> str:
    return sha256_of(path)


def _load_head(path: Path, model: CausalModel) -> "Linear":
    """The network as a linear layer."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from torch import nn

    try:
        stored = load_file(path, device=str(model.device))
        head = nn.Linear(model.dimension, model.vocabulary, bias="bias" in stored, device=model.device)
        head.load_state_dict({name: tensor.float() for name, tensor in stored.items()})
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"does not fit the model: {' '.join(str(error).split())[:300]}", where=str(path)) from error
    return head.eval()
