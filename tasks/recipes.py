"""Recipes: what is asked of a language model, declared in one TOML file each."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from schemas.corpus import Settings
from schemas.errors import CorpusError, UnknownName
from schemas.hashing import fingerprint
from tasks.output import PARSERS

RECIPES = Path(__file__).resolve().parent.parent / "recipes"
SLOT = re.compile(r"\{(\w+)\}")
SLOTS = {"features": "passage", "synthetic_queries": "passage", "contexts": "question"}


class Demonstration(Settings):
    """One worked example: a source and the answer it should get."""

    heading_path: tuple[str, ...] = ()
    passage: str = ""
    question: str = ""
    answer: str = Field(min_length=1)


class PromptTemplate(Settings):
    """The conversation, with `{passage}` or `{question}` where the source goes."""

    system: str = Field(description="who the model is; the same words for recipes that share a prefix")
    user: str = Field(description="the turn that shows a source and asks for the output")
    demonstrations: tuple[Demonstration, ...] = ()


class Decoding(Settings):
    """How tokens are chosen; see `models.language.Sampling`."""

    max_tokens: int = Field(ge=1)
    temperature: float = Field(0.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    frequency_penalty: float = Field(0.0, ge=-2, le=2)
    seed: int = 0
    stop: tuple[str, ...] = ()


class Recipe(Settings):
    """One recipe, checked.

    Attributes:
        name: that of its file; a feature is called so in the table.
        output: JSON schema that the output is guided to; none for free text.
        parser: name of the function that makes a value of the output.
        samples: outputs wanted per source, each with a seed of its own.
        max_failure_rate: share of sources without a usable output above which a run fails.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    table: Literal["features", "synthetic_queries", "contexts"]
    description: str = ""
    parser: str
    samples: int = Field(1, ge=1)
    max_failure_rate: float = Field(ge=0, le=1)
    prompt: PromptTemplate
    decoding: Decoding
    output: dict[str, Any] | None = None

    @field_validator("parser")
    @classmethod
    def _parser_known(cls, parser: str) -> str:
        if parser not in PARSERS:
            raise ValueError(f"unknown parser {parser!r}; known: {', '.join(sorted(PARSERS))}")
        return parser

    @model_validator(mode="after")
    def _slots_fit(self) -> "Recipe":
        wanted = {SLOTS[self.table]}
        found = set(SLOT.findall(self.prompt.user))
        if found != wanted:
            named = ", ".join(sorted(found)) or "none"
            raise ValueError(f"prompt.user: table {self.table} fills the slot {{{SLOTS[self.table]}}}; found: {named}")
        return self

    @field_validator("output")
    @classmethod
    def _output_bounded(cls, output: dict[str, Any] | None) -> dict[str, Any] | None:
        if output:
            check_bounded(output, "output")
        return output


def check_bounded(schema: dict[str, Any], where: str) -> None:
    """Refuse a JSON schema by which a small model could go on until it runs out of tokens.

    Raises:
        ValueError: a string without maxLength, an array without maxItems, or an array inside an array.
    """
    kind = schema.get("type")
    if kind == "string" and "maxLength" not in schema and "enum" not in schema:
        raise ValueError(f"{where}: a string needs a maxLength")
    if kind == "array":
        _check_array(schema, where)
    for name, part in schema.get("properties", {}).items():
        check_bounded(part, f"{where}.{name}")


def _check_array(schema: dict[str, Any], where: str) -> None:
    items = schema.get("items", {})
    if "maxItems" not in schema:
        raise ValueError(f"{where}: an array needs maxItems")
    if items.get("type") == "array":
        raise ValueError(f"{where}: an array inside an array is slow to guide")
    check_bounded(items, f"{where}.items")


def recipe_id(recipe: Recipe, model_id: str) -> str:
    """Fingerprint of everything that can change the recipe's rows: not its description, not its threshold."""
    content = recipe.model_dump(mode="json", exclude={"description", "max_failure_rate"})
    return fingerprint({"recipe": content, "parser_version": PARSERS[recipe.parser].version, "model_id": model_id})


def known_recipes(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """Recipe files by name: those of `folders` before the shipped ones of the same name."""
    known: dict[str, Path] = {}
    for folder in (*folders, RECIPES):
        for path in sorted(folder.glob("*.toml")):
            known.setdefault(path.stem, path)
    return known


def load_recipe(name: str, folders: Sequence[Path] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        name: of the recipe, and of its file without `.toml`.
        folders: looked at before the shipped recipes, such as `recipes/` beside a corpus file.

    Raises:
        UnknownName: no folder has it; the message lists the known ones.
        CorpusError: the file is not TOML, or says something that does not fit.
    """
    known = known_recipes(folders)
    if name not in known:
        raise UnknownName("recipe", name, known)
    path = known[name]
    try:
        return Recipe.model_validate({**tomllib.loads(path.read_text(encoding="utf-8")), "name": name})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CorpusError(f"not valid TOML: {error}", where=str(path), remedy="Correct the file") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or name
        raise CorpusError(f"{key}: {first['msg']}", where=str(path), remedy="Correct the file") from error
