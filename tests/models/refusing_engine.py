"""A child of `models.engine_process` whose model is missing."""

from models import engine_child
from models.fake import FakeLanguageModel
from schemas.corpus import LanguageModelSettings
from schemas.errors import SetupError


def refuse(_: LanguageModelSettings) -> FakeLanguageModel:
    raise SetupError("a language model that is not there", remedy="Run: make install")


if __name__ == "__main__":
    engine_child._open = refuse
    engine_child.main()
