"""From settings to models: the one place that knows every engine."""

from models.encoder import Encoder
from models.fake import FAKE_ENCODER_ID, FAKE_MODEL_ID, FakeEncoder, FakeLanguageModel
from models.folders import model_folder, model_id
from models.language import LanguageModel
from models.promptreps import PromptRepsEncoder, promptreps_id
from models.sentence_transformer import SentenceTransformerEncoder, sentence_transformer_id
from models.server import ServerLanguageModel, server_model_id
from models.tokens import TokenCounter, WordCounter
from models.vllm_engine import VllmLanguageModel
from schemas.corpus import EncoderSettings, LanguageModelSettings


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
    return VllmLanguageModel(model_folder(settings.model), settings)


def encoder_id(settings: EncoderSettings) -> str:
    """`encoder_id` of the encoder the settings name; it is not loaded.

    Raises:
        SetupError: there is no such model.
    """
    if settings.engine == "fake":
        return FAKE_ENCODER_ID
    folder = model_folder(settings.model)
    return promptreps_id(folder) if settings.engine == "promptreps" else sentence_transformer_id(folder)


def open_encoder(settings: EncoderSettings) -> Encoder:
    """Load an encoder.

    Raises:
        SetupError: there is no such model.
        ModelError: it does not load.
    """
    if settings.engine == "fake":
        return FakeEncoder()
    kind = PromptRepsEncoder if settings.engine == "promptreps" else SentenceTransformerEncoder
    return kind(model_folder(settings.model), settings.batch_size)


def token_counter(settings: EncoderSettings) -> TokenCounter | WordCounter:
    """Counts tokens as the encoder the settings name does; the encoder is not loaded.

    Raises:
        SetupError: there is no such model.
        ModelError: it has no readable tokenizer.
    """
    return WordCounter() if settings.engine == "fake" else TokenCounter(model_folder(settings.model))


def prompt_counter(settings: LanguageModelSettings) -> TokenCounter | WordCounter | None:
    """Counts tokens as the language model the settings name does; none where a server keeps its tokenizer to itself.

    Raises:
        SetupError: there is no such model.
        ModelError: it has no readable tokenizer.
    """
    if settings.engine == "server":
        return None
    return WordCounter() if settings.engine == "fake" else TokenCounter(model_folder(settings.model))
