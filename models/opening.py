"""From settings to models: the one place that knows every engine."""

from collections.abc import Callable
from pathlib import Path

from models.echo_splade import EchoSpladeEncoder, echo_splade_id
from models.encoder import Encoder, SparseEncoder
from models.engine_process import EngineProcessLanguageModel
from models.fake import (
    FAKE_ENCODER_ID,
    FAKE_MODEL_ID,
    FAKE_SPARSE_ENCODER_ID,
    FakeEncoder,
    FakeLanguageModel,
    FakeSparseEncoder,
)
from models.folders import model_folder, model_id
from models.language import LanguageModel
from models.last_token import LastTokenEncoder, last_token_id
from models.parity import check_parity
from models.promptreps import PromptRepsEncoder, promptreps_id
from models.promptreps_sparse import PromptRepsSparseEncoder, promptreps_sparse_id
from models.prosper import ProsperEncoder, prosper_id
from models.sentence_transformer import SentenceTransformerEncoder, sentence_transformer_id
from models.server import ServerLanguageModel, server_model_id
from models.sparse_vector import MostTerms
from models.splade import SpladeEncoder, splade_id
from models.tokens import TokenCounter, WordCounter, tokenizer_file_id
from schemas.corpus import EncoderSettings, LanguageModelSettings, SparseEncoderSettings

_SPARSE: dict[str, tuple[Callable[[Path, MostTerms], str], Callable[[Path, int, MostTerms], SparseEncoder]]] = {
    "splade": (splade_id, SpladeEncoder),
    "echo-splade": (echo_splade_id, EchoSpladeEncoder),
    "prosper": (prosper_id, ProsperEncoder),
    "promptreps": (promptreps_sparse_id, PromptRepsSparseEncoder),
}


def language_model_id(settings: LanguageModelSettings) -> str:
    """`model_id` of the model the settings name; it is not loaded.

    Raises:
        SetupError: there is no such model.
    """
    if settings.engine == "fake":
        return FAKE_MODEL_ID
    return server_model_id(settings) if settings.engine == "server" else model_id(model_folder(settings.model))


def open_language_model(settings: LanguageModelSettings) -> LanguageModel:
    """Load a language model; vLLM takes most of a minute.

    Raises:
        SetupError: there is no such model, or the key of its server is not set.
        ModelError: it does not load.
    """
    if settings.engine == "fake":
        return FakeLanguageModel(settings.context_tokens)
    if settings.engine == "server":
        return ServerLanguageModel(settings)
    return EngineProcessLanguageModel(settings, language_model_id(settings))


def encoder_id(settings: EncoderSettings) -> str:
    """`encoder_id` of the encoder the settings name; it is not loaded.

    Raises:
        SetupError: there is no such model.
    """
    if settings.engine == "fake":
        return FAKE_ENCODER_ID
    folder = model_folder(settings.model)
    if settings.engine == "promptreps":
        return promptreps_id(folder, settings.precision, settings.dimension)
    identify = last_token_id if settings.engine == "last-token" else sentence_transformer_id
    return identify(folder, settings)


def open_encoder(settings: EncoderSettings) -> Encoder:
    """Load an encoder. One that is not torch's in float32 must prove first that it makes the same vectors.

    Raises:
        SetupError: there is no such model.
        ModelError: it does not load, or is not at parity with float32.
    """
    encoder = _loaded_encoder(settings)
    if (settings.backend, settings.precision) != ("torch", "float32"):
        reference = _loaded_encoder(settings.model_copy(update={"backend": "torch", "precision": "float32"}))
        by_backend = "" if settings.backend == "torch" else f" by {settings.backend}"
        check_parity(encoder, reference, settings.min_parity, f"{settings.model} in {settings.precision}{by_backend}")
    return encoder


def _loaded_encoder(settings: EncoderSettings) -> Encoder:
    if settings.engine == "fake":
        return FakeEncoder()
    folder = model_folder(settings.model)
    if settings.engine == "promptreps":
        return PromptRepsEncoder(folder, settings.batch_size, settings.precision, settings.dimension)
    kind = LastTokenEncoder if settings.engine == "last-token" else SentenceTransformerEncoder
    return kind(folder, settings)


def sparse_encoder_id(settings: SparseEncoderSettings) -> str:
    """`encoder_id` of the sparse encoder the settings name; it is not loaded.

    Raises:
        SetupError: there is no such model.
        ModelError: it lacks a part that its engine needs.
    """
    if settings.engine == "fake":
        return FAKE_SPARSE_ENCODER_ID
    identify, _ = _SPARSE[settings.engine]
    return identify(model_folder(settings.model), _most_terms(settings))


def open_sparse_encoder(settings: SparseEncoderSettings) -> SparseEncoder:
    """Load a sparse encoder.

    Raises:
        SetupError: there is no such model.
        ModelError: it does not load.
    """
    if settings.engine == "fake":
        return FakeSparseEncoder()
    _, opened = _SPARSE[settings.engine]
    return opened(model_folder(settings.model), settings.batch_size, _most_terms(settings))


def _most_terms(settings: SparseEncoderSettings) -> MostTerms:
    return MostTerms(settings.passage_terms, settings.query_terms)


def token_counter(settings: EncoderSettings) -> TokenCounter | WordCounter:
    """Counts tokens as the encoder the settings name does; the encoder is not loaded.

    Raises:
        SetupError: there is no such model.
        ModelError: it has no readable tokenizer.
    """
    return WordCounter() if settings.engine == "fake" else TokenCounter(model_folder(settings.model))


def tokenizer_id(settings: EncoderSettings) -> str:
    """Fingerprint of the tokenizer of the encoder the settings name: encoders that share one count alike.

    Raises:
        SetupError: there is no such model.
        ModelError: it has no readable tokenizer.
    """
    return "words" if settings.engine == "fake" else tokenizer_file_id(model_folder(settings.model))


def prompt_counter(settings: LanguageModelSettings) -> TokenCounter | WordCounter | None:
    """Counts tokens as the language model the settings name does; none where a server keeps its tokenizer to itself.

    Raises:
        SetupError: there is no such model.
        ModelError: it has no readable tokenizer.
    """
    if settings.engine == "server":
        return None
    return WordCounter() if settings.engine == "fake" else TokenCounter(model_folder(settings.model))
