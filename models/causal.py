"""Causal language models as encoders: opened once, and read in batches of like lengths."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from models.batches import by_length
from models.control_tokens import control_token_pattern, neutralise
from models.environment import prepare_environment
from models.precision import Precision, device_for, in_precision, loaded_as
from schemas.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, device
    from torch.nn import Module

# Models in use, so that a dense and a sparse encoder of one model hold its weights once.
_in_use: "WeakValueDictionary[tuple[Path, Precision], Module]" = WeakValueDictionary()
# Most tokens of a text, as in PromptReps' paper; no passage is longer.
TEXT_TOKENS = 512


class CausalModel:
    """A causal language model, on a GPU where there is one.

    Weights are read from safetensors only, and no code of the folder is run.

    Args:
        folder: of the model: safetensors and tokenizer.
        batch_size: texts per forward pass.
        precision: that it runs in.

    Attributes:
        tokenizer: of transformers.
        dimension: length of a state.
        vocabulary: number of logits.

    Raises:
        ModelError: transformers does not open the folder.
    """

    def __init__(self, folder: Path, batch_size: int, precision: Precision = "float32") -> None:
        prepare_environment()
        model, self.tokenizer = _open(folder, precision)
        self.vocabulary, self.dimension = map(int, model.get_output_embeddings().weight.shape)
        self._model: Any = in_precision(model, precision)
        self.folder = folder
        self._batch_size = batch_size
        self._control_tokens = control_token_pattern(
            [*self.tokenizer.all_special_tokens, *self.tokenizer.get_added_vocab()]
        )

    @property
    def device(self) -> "device":
        """Where it runs."""
        place: device = self._model.device
        return place

    def text_ids(self, text: str, most: int | None = None) -> list[int]:
        """Token ids of a text, which is data, whatever it says: control tokens in it are broken up.

        Args:
            most: ids that are kept, from the first; all when left out.
        """
        return self.ids(neutralise(text, self._control_tokens))[:most]

    def ids(self, prompt: str) -> list[int]:
        """Token ids of a part of a prompt; no special tokens but those it spells."""
        return list(self.tokenizer.encode(prompt, add_special_tokens=False))

    def beginning(self) -> list[int]:
        """The token that the model's tokenizer begins every text with, if it does so."""
        special = list(self.tokenizer.encode(""))
        return special[:1] if special[:1] == [self.tokenizer.bos_token_id] else []

    def budget(self, prompt: int, copies: int = 1) -> int:
        """Most tokens of a text that fit beside a prompt of so many, so many times.

        Raises:
            ModelError: the prompt alone fills the window.
        """
        configured = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        window = configured or copies * TEXT_TOKENS + prompt
        if window < prompt + copies:
            raise ModelError(
                f"its window of {window} tokens is too short for a prompt of {prompt}", where=str(self.folder)
            )
        return min(TEXT_TOKENS, (window - prompt) // copies)

    def batches(self, sequences: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Places of the sequences, those of like lengths together."""
        return by_length([len(sequence) for sequence in sequences], self._batch_size)

    def ends(self, sequences: Sequence[Sequence[int]]) -> "tuple[Tensor, Tensor]":
        """The last layer's state and the logits at the end of each sequence: n by dimension, n by vocabulary.

        Raises:
            ModelError: the model fails.
        """
        with _inputs_of(self._model.get_output_embeddings()) as states:
            logits = self.logits(sequences, 1)
        return states[0][:, -1], logits[:, -1]

    def logits(self, sequences: Sequence[Sequence[int]], last: int) -> "Tensor":
        """Logits at the last so many positions of each sequence: n by `last` by vocabulary.

        A shorter sequence stands at the right: what comes before it means nothing.

        Raises:
            ModelError: the model fails.
        """
        import torch

        longest = max(map(len, sequences))
        # Padding stands on the left, where no mask lets a token look; which id it has does not matter.
        ids = torch.tensor([[0] * (longest - len(each)) + [*each] for each in sequences], device=self._model.device)
        mask = torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in sequences], device=ids.device)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        try:
            with torch.inference_mode():
                output = self._model(
                    input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=last, use_cache=False
                )
        except RuntimeError as error:
            raise ModelError(
                f"the model fails: {' '.join(str(error).split())[:300]}",
                where=str(self.folder),
                remedy="If memory is short, set a smaller batch_size",
            ) from error
        logits: Tensor = output.logits
        return logits


def _open(folder: Path, precision: Precision) -> tuple[Any, Any]:
    """Model and tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        model: Any = _in_use.get((folder, precision))
        if model is None:
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=loaded_as(precision), local_files_only=True, use_safetensors=True
            )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers and the libraries underneath raise types of their own
        raise ModelError(f"transformers cannot open it: {error}", where=str(folder)) from error
    model = _in_use[folder, precision] = model.eval().to(device_for(precision))
    return model, tokenizer


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
