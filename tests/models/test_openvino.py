"""OpenVINO gives the vectors that torch gives, under a name of its own, and is refused where it does not."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from models.encoder import Encoder
from models.folders import model_id
from models.opening import encoder_id, open_encoder
from models.sentence_transformer import sentence_transformer_id
from schemas.corpus import EncoderSettings
from schemas.errors import ModelError
from schemas.hashing import fingerprint

WORDS = ("<s>", "<pad>", "</s>", "<unk>", "owl", "barn", "eats", "three", "voles", "in", "one", "night")
TEXTS = [" ".join(WORDS[4 + place % 8] for place in range(length)) for length in (7, 1, 60, 2, 0, 23, 24, 3, 41)]
MASK_ONLY = ["input_ids", "attention_mask"]
ARCHITECTURES: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "bert": (
        lambda: BertModel(BertConfig(**sizes(), intermediate_size=64)),
        [*MASK_ONLY, "token_type_ids"],
    ),
    "mpnet": (lambda: MPNetModel(MPNetConfig(**sizes(), intermediate_size=64)), MASK_ONLY),
    "xlm-roberta": (lambda: XLMRobertaModel(XLMRobertaConfig(**sizes(), intermediate_size=64)), MASK_ONLY),
    "distilbert": (
        lambda: DistilBertModel(
            DistilBertConfig(vocab_size=len(WORDS), dim=32, n_layers=2, n_heads=4, hidden_dim=64, pad_token_id=1)
        ),
        MASK_ONLY,
    ),
}


def sizes() -> dict[str, Any]:
    return {
        "vocab_size": len(WORDS),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 128,
        "initializer_range": 0.3,  # wide enough for vectors far from each other
        "pad_token_id": 1,
    }


def tokenizer() -> Tokenizer:
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return made


def write_tiny(folder: Path, architecture: str) -> Path:
    """Write a model of random weights as transformers keeps models; the library adds a mean over tokens."""
    make, names = ARCHITECTURES[architecture]
    torch.manual_seed(5)
    make().save_pretrained(folder)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer(), pad_token="<pad>", unk_token="<unk>", model_max_length=100
    )
    wrapped.model_input_names = names
    wrapped.save_pretrained(folder)
    return folder


@pytest.fixture(params=ARCHITECTURES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_tiny(tmp_path, request.param)


def opened(folder: Path, **more: object) -> Encoder:
    named = {"model": str(folder), "batch_size": 4, "backend": "openvino"}
    return open_encoder(EncoderSettings.model_validate(named | more))


def same_together_and_alone(encoder: Encoder, reference: Encoder, texts: Sequence[str]) -> None:
    """Batches of many texts, whose padding must leave no trace, and texts alone, both against torch."""
    expected = np.concatenate([reference.encode([text]).vectors for text in texts])
    assert np.abs(encoder.encode(texts).vectors - expected).max() < 1e-4
    alone = np.concatenate([encoder.encode([text]).vectors for text in texts])
    assert np.abs(alone - expected).max() < 1e-4
    assert np.abs(encoder.encode_queries(texts).vectors - reference.encode_queries(texts).vectors).max() < 1e-4


def test_vectors_are_those_of_torch_whatever_a_text_is_padded_with(folder: Path) -> None:
    same_together_and_alone(opened(folder), opened(folder, backend="torch"), TEXTS)


def test_prompts_and_dimensions_are_settings_as_with_torch(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path, "bert")
    more = {"query_prompt": "barn ", "passage_prompt": "night ", "dimension": 8}
    same_together_and_alone(opened(folder, **more), opened(folder, **more, backend="torch"), TEXTS)


def test_several_threads_at_once_get_the_same_vectors(tmp_path: Path) -> None:
    encoder = opened(write_tiny(tmp_path, "bert"))
    expected = encoder.encode(TEXTS).vectors
    places = [place for _ in range(8) for place in range(len(TEXTS))]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda place: encoder.encode([TEXTS[place]]).vectors[0], places))
        together = list(pool.map(lambda _: encoder.encode(TEXTS).vectors, range(6)))
    assert np.abs(np.stack(found) - expected[places]).max() < 1e-5
    assert all(np.abs(vectors - expected).max() < 1e-5 for vectors in together)


def test_nothing_reports_what_it_is_used_for(tmp_path: Path) -> None:
    opened(write_tiny(tmp_path, "distilbert"))
    assert sys.modules["openvino_telemetry"] is None
    assert sys.modules["openvino.tools.ovc.telemetry_utils"].tm.__name__ == "openvino.tools.ovc.telemetry_stub"


def test_the_backend_is_part_of_the_identity_and_that_of_torch_is_as_it_was(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path, "bert")
    by_torch = EncoderSettings(model=str(folder))
    by_openvino = EncoderSettings(model=str(folder), backend="openvino")
    before = {
        "model": model_id(folder),
        "prompts": [None, None],
        "dimension": None,
        "precision": "float32",
        "libraries": [f"{name} {version(name)}" for name in ("sentence-transformers", "transformers")],
    }
    assert sentence_transformer_id(folder, by_torch) == encoder_id(by_torch) == fingerprint(before)
    before["libraries"] = [*before["libraries"], f"openvino {version('openvino')}"]
    assert encoder_id(by_openvino) == opened(folder).encoder_id == fingerprint(before)


def test_it_must_pass_the_parity_gate_in_either_precision(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path, "bert")
    for precision in ("float32", "bfloat16"):
        settings = EncoderSettings.model_validate({"model": str(folder), "backend": "openvino", "precision": precision})
        with pytest.raises(ModelError, match=rf"in {precision} by openvino: not at parity with float32: cosine"):
            open_encoder(settings.model_copy(update={"min_parity": 1.1}))


def test_a_precision_that_the_cpu_has_not_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain:
        def get_property(self, *_: str) -> list[str]:
            return ["FP32", "INT8"]

    monkeypatch.setattr("models.openvino._core", Plain)
    with pytest.raises(ModelError, match=r'this CPU has no bfloat16.*Set precision = "float32"'):
        opened(write_tiny(tmp_path, "bert"), precision="bfloat16")


def test_a_model_that_it_cannot_convert_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def turned(_: object, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        squares = (input_ids * attention_mask)[:, :2, None].expand(-1, 2, 2).float()
        return {"last_hidden_state": torch.linalg.eigvals(squares).real[..., None]}

    folder = write_tiny(tmp_path, "bert")
    monkeypatch.setattr(BertModel, "forward", turned)
    with pytest.raises(ModelError, match=r'OpenVINO cannot run it: .*eigvals.*Set backend = "torch"') as caught:
        opened(folder)
    assert caught.value.where == str(folder)
    assert "\n" not in str(caught.value)


def test_a_model_without_a_transformer_is_refused(tmp_path: Path) -> None:
    SentenceTransformer(modules=[StaticEmbedding(tokenizer(), embedding_dim=8)], device="cpu").save(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="OpenVINO cannot run it: it begins with StaticEmbedding, not with a trans"):
        opened(tmp_path)


@pytest.mark.slow
def test_the_default_model_gives_the_vectors_of_torch() -> None:
    lengths = (1, 3, 4, 9, 30, 31, 90, 250, 400)
    texts = [" ".join(["keep", "a", "sorted", "list"][place % 4] for place in range(length)) for length in lengths]
    encoder = open_encoder(EncoderSettings(backend="openvino", batch_size=4))
    same_together_and_alone(encoder, open_encoder(EncoderSettings(batch_size=4)), ["", *texts])
