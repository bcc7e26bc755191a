"""Deterministic stand-ins for tests: no weights, no waiting, outputs that depend on nothing but the input."""

import json
import random
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from models.encoder import Encoded, SparselyEncoded, SparseVector
from models.language import TOO_LONG, Generation, JsonSchema, Prompt, Request, Sampling
from schemas.hashing import digest

FAKE_MODEL_ID = digest("fake language model")
FAKE_ENCODER_ID = digest("fake encoder")
FAKE_SPARSE_ENCODER_ID = digest("fake sparse encoder")
FAKE_DIMENSION = 64
REMEMBERED_PROMPTS = 1000
FAKE_VOCABULARY = 1 << 16
WORD = re.compile(r"\w+")


class FakeLanguageModel:
    """Writes words of the last message, shuffled by a hash of prompt and seed, as the schema wants them.

    A word counts as a token. The output keeps within the schema's bounds, whatever `max_tokens` says.

    Attributes:
        room: requests that it works on at the same time.
        calls: how many requests it answered.
        prompts: the newest prompts it was given.
    """

    room = 1

    def __init__(self, context_tokens: int = 2048) -> None:
        self.model_id = FAKE_MODEL_ID
        self.calls = 0
        self.prompts: deque[Prompt] = deque(maxlen=REMEMBERED_PROMPTS)
        self._context_tokens = context_tokens

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Generation]]:
        """See `LanguageModel.generate`."""
        for number, request in enumerate(requests):
            self.calls += 1
            self.prompts.append(request.prompt)
            yield number, self._one(request.prompt, request.sampling, request.schema)

    def _one(self, prompt: Prompt, sampling: Sampling, schema: JsonSchema | None) -> Generation:
        prompt_tokens = sum(len(WORD.findall(message["content"])) for message in prompt)
        if prompt_tokens + sampling.max_tokens > self._context_tokens:
            return TOO_LONG
        chooser = random.Random(digest(json.dumps(list(prompt)), str(sampling.seed)))
        words = sorted({word.lower() for word in WORD.findall(prompt[-1]["content"])}) or ["nothing"]
        value = _value(schema or {"type": "string"}, words, chooser)
        text = json.dumps(value) if schema else f"{value}."
        return Generation(text, prompt_tokens, len(WORD.findall(text)), "stop")


def _value(schema: Mapping[str, Any], words: Sequence[str], chooser: random.Random) -> object:
    """A value of the schema; covers what bounded recipe schemas are made of."""
    if "enum" in schema:
        return chooser.choice(schema["enum"])
    kind = schema["type"]
    if kind == "object":
        return {name: _value(part, words, chooser) for name, part in schema["properties"].items()}
    if kind == "array":
        count = chooser.randint(schema.get("minItems", 1), schema.get("maxItems", 3))
        return [_value(schema["items"], words, chooser) for _ in range(count)]
    if kind == "boolean":
        return chooser.random() < 0.5
    if kind in ("integer", "number"):
        return chooser.randint(schema.get("minimum", 0), schema.get("maximum", 9))
    return _text(schema, words, chooser)


def _text(schema: Mapping[str, Any], words: Sequence[str], chooser: random.Random) -> str:
    chosen = " ".join(chooser.sample(words, min(6, len(words))))
    return chosen.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength", 80)].strip()


class FakeEncoder:
    """Hashes every word to a dimension, counts, and scales to norm 1: texts that share words are alike.

    Attributes:
        calls: how often `encode` was called.
    """

    def __init__(self) -> None:
        self.encoder_id = FAKE_ENCODER_ID
        self.dimension = FAKE_DIMENSION
        self.calls = 0

    def encode(self, texts: Sequence[str]) -> Encoded:
        """See `Encoder.encode`."""
        self.calls += 1
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        words = [WORD.findall(text.lower()) or [""] for text in texts]
        for row, found in enumerate(words):
            for word in found:
                vectors[row, int(digest(word)[:8], 16) % self.dimension] += 1
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return Encoded((vectors / norms).astype(np.float32), tokens=sum(map(len, words)))

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """See `Encoder.encode_queries`."""
        return self.encode(texts)


class FakeSparseEncoder:
    """Hashes every word to a term whose weight is how often it stands there: texts that share words are alike.

    Attributes:
        calls: how often `encode` was called.
    """

    def __init__(self) -> None:
        self.encoder_id = FAKE_SPARSE_ENCODER_ID
        self.vocabulary = FAKE_VOCABULARY
        self.calls = 0

    def encode(self, texts: Sequence[str]) -> SparselyEncoded:
        """See `SparseEncoder.encode`."""
        self.calls += 1
        words = [WORD.findall(text.lower()) for text in texts]
        return SparselyEncoded([self._vector(found) for found in words], tokens=sum(map(len, words)))

    def encode_queries(self, texts: Sequence[str]) -> SparselyEncoded:
        """See `SparseEncoder.encode_queries`."""
        return self.encode(texts)

    def _vector(self, words: Sequence[str]) -> SparseVector:
        terms, counts = np.unique([int(digest(word)[:8], 16) % self.vocabulary for word in words], return_counts=True)
        return SparseVector(terms.astype(np.int32), counts.astype(np.float32))
