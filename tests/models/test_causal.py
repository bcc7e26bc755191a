"""Causal language models are held once, and as long as somebody uses them."""

import gc
from pathlib import Path

from models import causal
from models.causal import CausalModel
from tests.models.tiny_language_model import write_tiny_language_model


def test_who_opens_a_model_that_is_in_use_shares_its_weights(tmp_path: Path) -> None:
    folder = write_tiny_language_model(tmp_path)

    one, other, rounded = CausalModel(folder, 1), CausalModel(folder, 2), CausalModel(folder, 1, "bfloat16")

    assert one._model is other._model is not rounded._model
    assert {key for key in causal._in_use if key[0] == folder} == {(folder, "float32"), (folder, "bfloat16")}
    del one, other, rounded
    gc.collect()
    assert not [key for key in causal._in_use if key[0] == folder]
