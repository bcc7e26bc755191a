"""Echo-SPLADE with a tiny random model, against transformers asked directly (method 3's tests)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.echo_splade import EchoSpladeEncoder, echo_splade_id
from models.encoder import SparseVector
from models.opening import open_sparse_encoder, sparse_encoder_id
from models.sparse_vector import MostTerms, inner_product
from schemas.corpus import SparseEncoderSettings
from schemas.errors import ModelError
from tests.models.tiny_language_model import write_tiny_language_model

Asked = Callable[[list[int]], torch.Tensor]
IdsOf = Callable[[str], list[int]]

ALL = MostTerms(None, None)
TEXTS = ["Heaps keep the smallest item first.", "Sockets", "", "A sorted list is searched by bisection. " * 3, "heap"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_language_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> EchoSpladeEncoder:
    return EchoSpladeEncoder(folder, batch_size=4, most=ALL)


@pytest.fixture(scope="module")
def asked(folder: Path) -> Asked:
    """The logits of a prompt, one at a time, by transformers alone."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()

    def logits(ids: list[int]) -> torch.Tensor:
        with torch.no_grad():
            found: torch.Tensor = model(torch.tensor([ids])).logits[0]
        return found

    return logits


@pytest.fixture(scope="module")
def ids_of(folder: Path) -> IdsOf:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return lambda text: tokenizer.encode(text, add_special_tokens=False)


def echoed(ids_of: IdsOf, text: str) -> tuple[list[int], int]:
    """The whole prompt, and how many tokens the second copy has."""
    copy = ids_of(text)
    return [*ids_of("Rewrite the sentence: "), *copy, *ids_of(", rewritten sentence: "), *copy], len(copy)


def test_weights_are_those_of_the_second_copy_whatever_the_batch(
    encoder: EchoSpladeEncoder, asked: Asked, ids_of: IdsOf
) -> None:
    made = encoder.encode(TEXTS)
    for text, vector in zip(TEXTS, made.vectors, strict=True):
        ids, count = echoed(ids_of, text)
        expected = torch.log1p(asked(ids)[-count:].amax(0).relu()).numpy() if count else np.zeros(encoder.vocabulary)
        found = np.zeros(encoder.vocabulary, np.float32)
        found[vector.terms] = vector.weights
        assert np.abs(found - expected).max() < 1e-4
        assert (vector.weights > 0).all()
    assert made.tokens == sum(len(echoed(ids_of, text)[0]) for text in TEXTS if text)


def test_positions_of_the_first_copy_do_not_count(encoder: EchoSpladeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = encoder.encode(["heap heap"]).vectors[0]
    original, second = encoder._model.logits, len(encoder._model.text_ids("heap heap"))

    def disturbed(sequences: Sequence[Sequence[int]], last: int) -> torch.Tensor:
        assert last == second
        logits = original(sequences, len(sequences[0])).clone()
        logits[:, :-second] += 100
        return logits

    monkeypatch.setattr(encoder._model, "logits", disturbed)
    after = encoder.encode(["heap heap"]).vectors[0]
    assert np.array_equal(before.terms, after.terms)
    assert np.allclose(before.weights, after.weights, atol=1e-5)


def test_only_an_echo_knows_how_a_text_ends(asked: Asked, ids_of: IdsOf) -> None:
    short, long = ids_of("Heaps keep the smallest"), ids_of("Heaps keep the smallest item first")
    alone = min(len(short), len(long)) - 1
    assert torch.allclose(asked(short)[:alone], asked(long)[:alone], atol=1e-5), "causal: no token sees a later one"
    starts = []
    for text in ("Heaps keep the smallest item", "Heaps keep the smallest list"):
        ids, count = echoed(ids_of, text)
        starts.append(asked(ids)[-count])
    assert (starts[0] - starts[1]).abs().max() > 1e-3, (
        "the first token of the second copy has seen the end of the first"
    )


def test_an_inverted_index_scores_as_the_vocabulary_does(encoder: EchoSpladeEncoder) -> None:
    passages, (query,) = encoder.encode(TEXTS).vectors, encoder.encode_queries(["the smallest item"]).vectors
    postings: dict[int, list[tuple[int, float]]] = {}
    for number, passage in enumerate(passages):
        for term, weight in zip(passage.terms.tolist(), passage.weights.tolist(), strict=True):
            postings.setdefault(term, []).append((number, weight))
    scores = np.zeros(len(passages))
    for term, asked_weight in zip(query.terms.tolist(), query.weights.tolist(), strict=True):
        for number, weight in postings.get(term, []):
            scores[number] += asked_weight * weight
    assert np.allclose(scores, [inner_product(query, passage) for passage in passages])
    step = 0.01
    coarse = [
        sum(query.weights[i] * step * round(float(w) / step) for i, w in shared(query, passage)) for passage in passages
    ]
    assert np.abs(scores - coarse).max() <= step / 2 * query.weights.sum() + 1e-6, "ranked alike up to the step"


def shared(query: SparseVector, passage: SparseVector) -> list[tuple[int, float]]:
    places = {int(term): place for place, term in enumerate(query.terms)}
    return [(places[int(t)], w) for t, w in zip(passage.terms, passage.weights, strict=True) if int(t) in places]


def test_the_heaviest_terms_stay(folder: Path, encoder: EchoSpladeEncoder) -> None:
    opened = open_sparse_encoder(SparseEncoderSettings(engine="echo-splade", model=str(folder), query_terms=7))
    (passage,), (query,) = opened.encode(TEXTS[:1]).vectors, opened.encode_queries(TEXTS[:1]).vectors
    (whole,) = encoder.encode(TEXTS[:1]).vectors
    assert len(passage.terms) == min(256, len(whole.terms))
    assert len(query.terms) == 7
    assert sorted(query.weights) == sorted(np.sort(whole.weights)[-7:])


def test_a_long_text_is_cut_in_both_copies(encoder: EchoSpladeEncoder) -> None:
    once, longer = encoder.encode(["heap " * 1000]), encoder.encode(["heap " * 2000])
    assert once.tokens <= 512, "the window of the model"
    assert np.array_equal(once.vectors[0].weights, longer.vectors[0].weights)


def test_control_tokens_in_a_text_stay_text(encoder: EchoSpladeEncoder, ids_of: IdsOf) -> None:
    (end,) = ids_of("<|im_end|>")
    assert end not in encoder._read("x<|im_end|>").ids


def test_what_makes_other_vectors_has_another_identity(
    folder: Path, encoder: EchoSpladeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert echo_splade_id(folder, ALL) == encoder.encoder_id
    settings = SparseEncoderSettings(engine="echo-splade", model=str(folder))
    assert sparse_encoder_id(settings) == echo_splade_id(folder, MostTerms(256, 256)) != encoder.encoder_id
    for name, value in (("PROMPT", ("a", "b")), ("POOLING", "sum"), ("PRECISION", "bfloat16"), ("TEXT_TOKENS", 9)):
        with monkeypatch.context() as changed:
            changed.setattr(f"models.echo_splade.{name}", value)
            assert echo_splade_id(folder, ALL) != encoder.encoder_id


def test_a_window_that_the_prompt_fills_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="window of 16 tokens is too short for a prompt"):
        EchoSpladeEncoder(write_tiny_language_model(tmp_path, window=16), 4, ALL)
