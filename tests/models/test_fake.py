"""The fakes keep the promises of the interfaces they stand in for."""

import json

import jsonschema
import numpy as np

from models.encoder import Encoder
from models.fake import FakeEncoder, FakeLanguageModel
from models.language import LanguageModel, Message, Request, Sampling, answers
from tasks.recipes import load_recipe

PROMPT: list[Message] = [{"role": "user", "content": "Bisection keeps a list sorted while items are inserted."}]
SAMPLING = Sampling(max_tokens=16)


def test_they_are_what_they_stand_in_for() -> None:
    language_model: LanguageModel = FakeLanguageModel()
    encoder: Encoder = FakeEncoder()
    assert language_model.model_id != encoder.encoder_id


def test_output_depends_on_prompt_and_seed_only() -> None:
    first, again = FakeLanguageModel(), FakeLanguageModel()
    asked = Request(PROMPT, SAMPLING)
    assert answers(first, [asked]) == answers(again, [asked])
    assert answers(first, [Request(PROMPT, Sampling(max_tokens=16, seed=1))]) != answers(again, [asked])
    assert first.calls == 2
    assert list(first.prompts) == [PROMPT, PROMPT]


def test_output_fits_the_schemas_of_shipped_recipes() -> None:
    for name in ("keywords", "summary"):
        schema = load_recipe(name).output
        assert schema
        (made,) = answers(FakeLanguageModel(), [Request(PROMPT, SAMPLING, schema)])
        jsonschema.validate(json.loads(made.text), schema)


def test_a_prompt_that_is_too_long_is_refused_alone() -> None:
    long: list[Message] = [{"role": "user", "content": "word " * 300}]
    asked = [Request(long, SAMPLING), Request(PROMPT, SAMPLING)]
    refused, made = answers(FakeLanguageModel(context_tokens=256), asked)
    assert (refused.finish_reason, refused.prompt_tokens, refused.output_tokens) == ("too_long", 0, 0)
    assert made.finish_reason == "stop"
    assert made.text


def test_texts_that_share_words_are_alike() -> None:
    encoded = FakeEncoder().encode(["sorted list", "a sorted list", "socket timeout", ""])
    assert encoded.vectors.dtype == np.float32
    assert encoded.tokens == 8
    assert np.allclose(np.linalg.norm(encoded.vectors, axis=1), 1)
    assert encoded.vectors[0] @ encoded.vectors[1] > encoded.vectors[0] @ encoded.vectors[2]


def test_no_texts_give_no_vectors() -> None:
    assert FakeEncoder().encode([]).vectors.shape == (0, 64)
