"""PromptReps: any causal language model as an encoder, without training (arXiv 2404.18424).

The model is asked for one word that represents a text. Where it is about to say it, the last layer's state is the
dense vector, and what it would say is the sparse one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.encoder import Encoded
from models.environment import prepare_environment
from models.folders import model_id
from models.impacts import content_words, impacts, token_ids
from models.one_word_prompt import ANSWER, DATE, SYSTEM, USER, OneWordPrompt, Side
from schemas.errors import ModelError
from schemas.hashing import fingerprint

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel

PRECISION = "float32"
POOLING = "last token of the last layer, norm 1"
# Most tokens of a text, as in the paper.
TEXT_TOKENS = 512


@dataclass(frozen=True)
class Represented(Encoded):
    """What PromptReps made of n texts.

    Attributes:
        impacts: for each text, whole weights above 0 by vocabulary id, largest first.
    """

    impacts: list[dict[int, int]]


@dataclass(frozen=True)
class _Pass:
    """One forward pass: places of its texts, their unit vectors and logits, a row for each, and tokens read."""

    places: list[int]
    vectors: NDArray[np.float32]
    logits: "Tensor"
    tokens: int


def promptreps_id(folder: Path) -> str:
    """Fingerprint of an encoder: its folder (weights, tokenizer, chat template), prompt, pooling and precision."""
    return fingerprint(
        {
            "model": model_id(folder),
            "prompt": [SYSTEM, USER, ANSWER, DATE.isoformat()],
            "pooling": POOLING,
            "text_tokens": TEXT_TOKENS,
            "precision": PRECISION,
            "library": f"transformers {version('transformers')}",
        }
    )


class PromptRepsEncoder:
    """A causal language model with a chat template, in float32, on a GPU where there is one.

    Args:
        folder: of the model: safetensors, tokenizer, chat template.
        batch_size: texts per forward pass.

    Raises:
        ModelError: transformers does not open the folder, or its chat template is missing or does not fit.
    """

    def __init__(self, folder: Path, batch_size: int) -> None:
        prepare_environment()
        self._model, self._tokenizer = _open(folder)
        self._prompts = {side: OneWordPrompt(self._tokenizer, side, folder) for side in ("passage", "query")}
        self._budget = _text_budget(self._model, max(prompt.size for prompt in self._prompts.values()), folder)
        self._batch_size = batch_size
        self._folder = folder
        self.encoder_id = promptreps_id(folder)
        self.dimension = int(self._model.get_output_embeddings().weight.shape[1])

    @property
    def vocabulary(self) -> int:
        """Number of vocabulary ids that impacts can have."""
        return int(self._model.get_output_embeddings().weight.shape[0])

    def encode(self, texts: Sequence[str]) -> Encoded:
        """See `Encoder.encode`."""
        return self._encode(texts, "passage")

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """See `Encoder.encode_queries`."""
        return self._encode(texts, "query")

    def represent(self, texts: Sequence[str], side: Side) -> Represented:
        """Dense and sparse vectors of texts, from the same forward passes, in the order of the texts.

        The sparse ones hold words of the whole text, even of one that is too long to be read to its end.

        Raises:
            ModelError: the model fails.
        """
        vectors = self._empty(texts)
        sparse: list[dict[int, int]] = [{} for _ in texts]
        tokens = 0
        for each in self._passes(texts, side):
            vectors[each.places] = each.vectors
            for place, logits in zip(each.places, each.logits.float().cpu().numpy(), strict=True):
                sparse[place] = impacts(logits, token_ids(content_words(texts[place]), self._word_ids))
            tokens += each.tokens
        return Represented(vectors, tokens, sparse)

    def _encode(self, texts: Sequence[str], side: Side) -> Encoded:
        vectors, tokens = self._empty(texts), 0
        for each in self._passes(texts, side):
            vectors[each.places] = each.vectors
            tokens += each.tokens
        return Encoded(vectors, tokens)

    def _empty(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.empty((len(texts), self.dimension), np.float32)

    def _word_ids(self, word: str) -> list[int]:
        return list(self._tokenizer.encode(word, add_special_tokens=False))

    def _passes(self, texts: Sequence[str], side: Side) -> Iterator[_Pass]:
        """Forward passes over texts of like lengths: less of a pass is padding."""
        sequences = [self._prompts[side].encode(text, self._budget) for text in texts]
        by_length = sorted(range(len(texts)), key=lambda place: -len(sequences[place]))
        for start in range(0, len(texts), self._batch_size):
            places = by_length[start : start + self._batch_size]
            batch = [sequences[place] for place in places]
            states, logits = self._forward(batch)
            vectors = states.float().cpu().numpy()
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            yield _Pass(places, vectors, logits, sum(map(len, batch)))

    def _forward(self, sequences: Sequence[list[int]]) -> "tuple[Tensor, Tensor]":
        """State and logits at the end of each sequence: n by dimension, n by vocabulary."""
        import torch

        longest = max(map(len, sequences))
        # Padding stands on the left, where no mask lets a token look; which id it has does not matter.
        ids = torch.tensor([[0] * (longest - len(each)) + each for each in sequences], device=self._model.device)
        mask = torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in sequences], device=ids.device)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        try:
            with torch.inference_mode(), _inputs_of(self._model.get_output_embeddings()) as states:
                output = self._model(
                    input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=1, use_cache=False
                )
        except RuntimeError as error:
            raise ModelError(
                f"the model fails: {' '.join(str(error).split())[:300]}",
                where=str(self._folder),
                remedy="If memory is short, set a smaller batch_size under [encoder]",
            ) from error
        return states[0][:, -1], output.logits[:, -1]


def _open(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer. Weights are read from safetensors only, and no code of the folder is run."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers and the libraries underneath raise types of their own
        raise ModelError(f"transformers cannot open it: {error}", where=str(folder)) from error
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def _text_budget(model: "PreTrainedModel", prompt: int, folder: Path) -> int:
    """Most tokens of a text that fit beside a prompt of so many."""
    window = getattr(model.config.get_text_config(), "max_position_embeddings", None) or TEXT_TOKENS + prompt
    if window <= prompt:
        raise ModelError(f"its window of {window} tokens is too short for a prompt of {prompt}", where=str(folder))
    return min(TEXT_TOKENS, window - prompt)


@contextmanager
def _inputs_of(layer: "Module") -> "Iterator[list[Tensor]]":
    """Collects what goes into a layer.

    Asked of the model, hidden states come from every layer and of every token: gigabytes, of which one row counts.
    """
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        yield seen
    finally:
        handle.remove()
