"""PromptReps' prompt: a text, asked to be represented by one word, with the answer begun up to that word.

Zhuang, Ma, Koopman, Lin and Zuccon, PromptReps, arXiv 2404.18424 (EMNLP 2024).
"""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from models.control_tokens import control_token_pattern, neutralise
from models.encoder import Side
from schemas.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SYSTEM = "You are an AI assistant that can understand human language."
USER = (
    '{label}: "{text}". Use one most important word to represent the {side} in retrieval task. '
    "Make sure your word is in lowercase."
)
ANSWER = 'The word is: "'
# Templates that tell the model the date must tell the same one every night, or every vector changes daily.
DATE = date(2024, 7, 26)
# Stands for the text while the template is rendered. A private-use character: no template has it.
TEXT = "\ue000"


class OneWordPrompt:
    """The prompt around texts of one side, in a model's own chat template.

    Args:
        tokenizer: of transformers, with a chat template.
        side: whether the texts are passages or queries.
        folder: of the model, for messages.

    Raises:
        ModelError: the tokenizer has no chat template, or one that this prompt does not fit into.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", side: Side, folder: Path) -> None:
        self._tokenizer = tokenizer
        self._control_tokens = control_token_pattern([*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()])
        rendered = _rendered(tokenizer, side, folder)
        if rendered.count(TEXT) != 1:
            raise ModelError("its chat template does not show what a user says once", where=str(folder))
        before, _, after = rendered.partition(TEXT)
        self._before, self._after = self._ids(before), self._ids(after + ANSWER)

    @property
    def size(self) -> int:
        """Tokens of the prompt without a text."""
        return len(self._before) + len(self._after)

    def encode(self, text: str, budget: int) -> list[int]:
        """Token ids of the prompt with a text in it.

        Args:
            text: data, whatever it says: control tokens in it are broken up.
            budget: most tokens of the text; a longer one loses its end. The prompt around it is never cut.
        """
        return [*self._before, *self._ids(neutralise(text, self._control_tokens))[:budget], *self._after]

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))


def _rendered(tokenizer: "PreTrainedTokenizerBase", side: Side, folder: Path) -> str:
    """The chat, up to where the assistant begins to speak, with TEXT in the text's place."""
    from jinja2.exceptions import TemplateError

    if not tokenizer.chat_template:
        raise ModelError(
            "the model has no chat template", where=str(folder), remedy="Choose an instruction-tuned model"
        )
    user = USER.format(label=side.capitalize(), text=TEXT, side=side)
    try:
        try:
            return _template(tokenizer, [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}])
        except TemplateError:  # a template without a system role, such as Gemma's, raises: the user says it all
            return _template(tokenizer, [{"role": "user", "content": f"{SYSTEM} {user}"}])
    except TemplateError as error:
        raise ModelError(f"its chat template refuses a user's turn: {error}", where=str(folder)) from error


def _template(tokenizer: "PreTrainedTokenizerBase", messages: list[dict[str, str]]) -> str:
    return str(
        tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, strftime_now=DATE.strftime)
    )
