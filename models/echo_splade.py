"""Echo-SPLADE: learned sparse vectors from any causal language model that reads a text twice.

Doshi and others, Mistral-SPLADE, arXiv 2408.11119; the echo is that of Springer and others, arXiv 2402.15449. A causal
model's token sees only what stands before it. In the second copy it has seen the whole first one: what the model would
say next, at each token of the second copy, is said in the light of all of the text.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from models.causal import TEXT_TOKENS, CausalModel
from models.causal_sparse import CausalSparseEncoder, Reading
from models.folders import model_id
from models.saturation import pooled
from models.sparse_vector import MostTerms
from schemas.hashing import fingerprint

if TYPE_CHECKING:
    from torch import Tensor

PROMPT = ("Rewrite the sentence: ", ", rewritten sentence: ")
POOLING = "ln(1 + max(0, logit)), maximum over the second copy"
PRECISION = "float32"
# Logits of 50,000 terms at one position take 200 kB.
MOST_POSITIONS = 1024


def echo_splade_id(folder: Path, most: MostTerms) -> str:
    """Fingerprint of an encoder: its folder (weights and tokenizer), prompt, pooling, terms kept and precision."""
    return fingerprint(
        {
            "model": model_id(folder),
            "prompt": PROMPT,
            "pooling": POOLING,
            "text_tokens": TEXT_TOKENS,
            "terms": [most.passage, most.query],
            "precision": PRECISION,
            "library": f"transformers {version('transformers')}",
        }
    )


class EchoSpladeEncoder(CausalSparseEncoder):
    """A causal language model that reads every text twice and weighs terms over the second copy.

    Args:
        folder: of the model: safetensors and tokenizer.
        batch_size: texts per forward pass, fewer where they are long.
        most: terms of a vector, the heaviest. A model that was not trained for this weighs most of its vocabulary.

    Raises:
        ModelError: transformers does not open the folder, or the window is too short for the prompt.
    """

    def __init__(self, folder: Path, batch_size: int, most: MostTerms) -> None:
        model = CausalModel(folder, batch_size)
        super().__init__(model, echo_splade_id(folder, most), most)
        first, second = PROMPT
        self._first, self._second = [*model.beginning(), *model.ids(first)], model.ids(second)
        self._budget = model.budget(len(self._first) + len(self._second), copies=2)

    def _read(self, text: str) -> Reading:
        copy = self._model.text_ids(text, self._budget)
        return Reading([*self._first, *copy, *self._second, *copy], copy)

    def _weights(self, readings: Sequence[Reading]) -> "Tensor":
        import torch

        longest = max(len(reading.text) for reading in readings)
        step = max(1, MOST_POSITIONS // longest)
        parts = [readings[start : start + step] for start in range(0, len(readings), step)]
        return torch.cat([self._pooled(part) for part in parts])

    def _pooled(self, readings: Sequence[Reading]) -> "Tensor":
        counts = [len(reading.text) for reading in readings]
        return pooled(self._model.logits([reading.ids for reading in readings], max(counts)), counts)
