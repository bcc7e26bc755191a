"""The transformer of a sentence-transformers model run by OpenVINO, on a CPU; all around it stays the library's own.

Needs torch when it is imported, so that whoever may do without imports it late.
"""

import inspect
import sys
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch

from models.precision import Precision
from schemas.errors import ModelError

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, Model
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer

# A trace keeps the way that its example took: one without padding could lead past the mask.
EXAMPLE = ("owl", "A barn owl eats three voles in one night.")
NAMES_IN_OPENVINO: Mapping[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}
# A program is a copy of the weights: one for the batches that share the cores, and one for a batch that is alone.
MOST_PROGRAMS = 2


def run_by_openvino(model: "SentenceTransformer", precision: Precision, folder: Path) -> "SentenceTransformer":
    """Put a transformer that OpenVINO runs in the place of the model's own.

    Args:
        model: in float32, on the CPU; it is changed.
        precision: float32 or bfloat16.
        folder: of the model, for messages.

    Raises:
        ModelError: OpenVINO cannot run this model, or this CPU has not that precision.
    """
    core = _core()
    if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ModelError(
            "this CPU has no bfloat16", where=str(folder), remedy='Set precision = "float32" under [encoder]'
        )
    try:
        place = _transformer_of(model)
        place.model = ByOpenVino(place, core, precision)
    except Exception as error:  # OpenVINO and the tracer underneath raise types of their own
        raise ModelError(
            f"OpenVINO cannot run it: {' '.join(str(error).split())[:300]}",
            where=str(folder),
            remedy='Set backend = "torch" under [encoder]',
        ) from error
    return model


class ByOpenVino(torch.nn.Module):
    """A transformer that takes and gives tensors of torch, and is computed by OpenVINO on all of torch's threads.

    Args:
        place: the library's module of the transformer, on the CPU.
    """

    def __init__(self, place: "Transformer", core: "Core", precision: Precision) -> None:
        super().__init__()
        text = place.modality_config["text"]
        if text["method"] != "forward" or not isinstance(text["method_output_name"], str):
            raise TypeError(f"vectors are made by {text['method']} of {text['method_output_name']}, not by forward")
        taken = inspect.signature(place.model.forward).parameters
        example = {name: value for name, value in place.preprocess(list(EXAMPLE)).items() if name in taken}
        self.config = place.model.config
        self.device = torch.device("cpu")
        self._inputs, self._output = tuple(example), text["method_output_name"]
        traced = _traced(_InOrder(place.model, self._inputs, self._output), tuple(example.values()))
        self._programs = _Programs(core, traced, precision)

    def forward(self, **features: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401
        """States of the tokens, under the name that the transformer gives them: texts by tokens by dimensions."""
        program = self._programs.for_threads(torch.get_num_threads())
        return {self._output: program.run([features[name] for name in self._inputs])}


class _InOrder(torch.nn.Module):
    """A transformer whose inputs have an order instead of names, and which has one output."""

    def __init__(self, transformer: torch.nn.Module, inputs: tuple[str, ...], output: str) -> None:
        super().__init__()
        self.transformer, self.inputs, self.output = transformer, inputs, output

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.transformer(**dict(zip(self.inputs, tensors, strict=True)))[self.output]
        return states


class _Programs:
    """One model, compiled once for each number of threads that a batch is given."""

    def __init__(self, core: "Core", model: "Model", precision: Precision) -> None:
        self._core, self._model, self._precision = core, model, precision
        self._cores = torch.get_num_threads()
        self._lock = Lock()
        self._made = lru_cache(MOST_PROGRAMS)(self._compiled)

    def for_threads(self, threads: int) -> "_Program":
        """That which runs a batch on so many threads, and as many batches side by side as there are cores for."""
        with self._lock:
            return self._made(min(threads, self._cores))

    def _compiled(self, threads: int) -> "_Program":
        settings = {
            "INFERENCE_PRECISION_HINT": NAMES_IN_OPENVINO[self._precision],
            "INFERENCE_NUM_THREADS": self._cores,
            "NUM_STREAMS": self._cores // threads,
            # Several processes that tie themselves to cores all choose the same ones.
            "ENABLE_CPU_PINNING": False,
        }
        return _Program(self._core.compile_model(self._model, "CPU", settings))


class _Program:
    """A compiled model for any number of threads that call it."""

    def __init__(self, compiled: "CompiledModel") -> None:
        self._compiled = compiled
        self._idle: list[Any] = []  # requests, of which each serves one thread at a time

    def run(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        """The output for inputs in the order of the trace."""
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        made = request.infer([tensor.numpy() for tensor in tensors])  # copied: the next one may have the request
        self._idle.append(request)
        return torch.from_numpy(made[0])


def _core() -> "Core":
    # OpenVINO sends what it is used for, unasked, where this package is installed; without it it does not.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    from openvino import Core

    return Core()


def _transformer_of(model: "SentenceTransformer") -> Any:  # noqa: ANN401
    from sentence_transformers.base.modules import Transformer

    first = model[0]
    if not isinstance(first, Transformer):
        raise TypeError(f"it begins with {type(first).__name__}, not with a transformer")
    return first


def _traced(module: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> "Model":
    from openvino import convert_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer tells of every branch that it takes
        return convert_model(module.eval(), example_input=example)
