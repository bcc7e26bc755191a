"""Precisions that a model runs in: torch's float32 is the reference, all others must come near it (`models.parity`)."""

from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from torch import dtype
    from torch.nn import Module

Precision = Literal["float32", "bfloat16", "int8"]
Model = TypeVar("Model", bound="Module")


def loaded_as(precision: Precision) -> "dtype":
    """The type that weights are loaded as; int8 is made of float32."""
    import torch

    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def device_for(precision: Precision) -> str:
    """Where it runs: on a GPU where there is one, but torch has int8 for CPUs only."""
    import torch

    return "cuda" if torch.cuda.is_available() and precision != "int8" else "cpu"


def in_precision(model: Model, precision: Precision) -> Model:
    """The model, its linear layers in int8 where that is asked for.

    Weights are quantised once; what goes into a layer is quantised as it comes, to the range of the whole batch, so
    that a vector depends a little on the texts beside its own.
    """
    if precision != "int8":
        return model
    from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic
    from torch.nn import Linear

    # A scale for each output: with one for a whole layer, all-MiniLM-L6-v2 comes to a cosine of 0.89 only.
    quantised: Model = quantize_dynamic(model, {Linear: per_channel_dynamic_qconfig})  # type: ignore[no-untyped-call]
    return quantised
