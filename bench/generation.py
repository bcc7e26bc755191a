"""Prompts to committed rows per second, beside `vllm.LLM.chat` on the same prompts.

    python -m bench.generation --passages 64

Four recipes that begin with the passage (shipped ones without their demonstrations) are run over passages of this
machine's own Python documentation. Naive order is recipe after recipe; ours asks for all recipes of a passage next to
each other. A job reads pending passages from Delta, checks what the model wrote, tries bad outputs once more and
commits rows; `LLM.chat` gets the job's own prompts in the job's own order and keeps nothing. Every turn begins with an
empty prefix cache. Figures are seconds for 1,000 tokens read and written.
"""

import argparse
import pydoc
import random
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from bench.report import Measured, print_measured
from models.folders import model_folder
from models.language import Generation, LanguageModel, Request
from models.opening import language_model_id, open_language_model
from models.vllm_engine import request_parameters, start_engine
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus, LanguageModelSettings, RecipeSettings
from schemas.hashing import digest
from tasks.recipes import Recipe, load_recipe, recipe_id

if TYPE_CHECKING:
    from vllm import LLM

    from tasks.orders import Order

RECIPES = ("keywords", "summary", "entities", "facts")
MODULES = ("argparse", "asyncio", "collections", "csv", "datetime", "decimal", "email", "functools", "http.client")
WORDS = 140
SETTINGS = LanguageModelSettings(context_tokens=1024, memory_gib=0.5)
# Of the reference's throughput; in seconds the inverse.
NAIVE_GOAL, ARRANGED_GOAL = 1 / 0.9, 1.0


@dataclass
class Asked:
    """A model that puts down what it is asked, in order, and counts tokens."""

    model: LanguageModel
    requests: list[Request] = field(default_factory=list)
    tokens: int = 0

    @property
    def model_id(self) -> str:
        return self.model.model_id

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Generation]]:
        for number, generation in self.model.generate(self._noted(requests)):
            self.tokens += generation.prompt_tokens + generation.output_tokens
            yield number, generation

    def _noted(self, requests: Iterable[Request]) -> Iterator[Request]:
        for request in requests:
            self.requests.append(request)
            yield request


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=64)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    passages, reference = texts(arguments.passages), start_engine(model_folder(SETTINGS.model), SETTINGS)
    for _ in range(arguments.turns):
        print_measured(measure(passages, reference), arguments.json)


def measure(passages: list[str], reference: "LLM") -> Iterator[Measured]:
    """One turn: ours and the reference, in both orders."""
    naive, ours_naive = job(passages, together=False)
    chat_naive = chat(reference, naive)
    arranged, ours_arranged = job(passages, together=True)
    chat_arranged = chat(reference, arranged)
    unit = "s per 1,000 tokens"
    yield Measured(f"naive order, {unit}", ours_naive, chat_naive, "vllm.LLM.chat", NAIVE_GOAL)
    yield Measured(f"our order, {unit}", ours_arranged, chat_naive, "LLM.chat, naive", ARRANGED_GOAL)
    yield Measured(f"our order, {unit}", ours_arranged, ours_naive, "ours, naive", ARRANGED_GOAL)
    yield Measured(f"our order, {unit}", ours_arranged, chat_arranged, "LLM.chat, ours")


def job(passages: list[str], *, together: bool) -> tuple[list[Request], float]:
    """Run the recipes over stored passages, all together or one after the other.

    Returns:
        What was asked for, in order, and the seconds for 1,000 tokens.
    """
    # Not before the reference is up: vLLM does not start in a process that has loaded numba.
    from tasks.run import Run, Silent
    from tasks.writing import write
    from warehouse.session import open_session
    from warehouse.tables import Warehouse

    with tempfile.TemporaryDirectory() as root:
        warehouse = Warehouse(open_session(), root)
        warehouse.append(CHUNKS, CHUNKS.rows([chunk(number, text) for number, text in enumerate(passages)]))
        run = Run(warehouse, corpus(), "bench", date(2026, 1, 1), Silent())
        opened = open_language_model(SETTINGS)
        asked, all_orders = Asked(opened), orders()
        begun = time.perf_counter()
        for ordered in [all_orders] if together else [[order] for order in all_orders]:
            write(run, ordered, lambda: asked)
        seconds = time.perf_counter() - begun
        opened.close()  # type: ignore[attr-defined]
    return asked.requests, 1000 * seconds / asked.tokens


def chat(reference: "LLM", requests: list[Request]) -> float:
    """Seconds for 1,000 tokens of the same prompts through vLLM alone."""
    reference.reset_prefix_cache()
    prompts: list[Any] = [list(request.prompt) for request in requests]
    parameters = [request_parameters(request) for request in requests]
    begun = time.perf_counter()
    outputs = reference.chat(prompts, parameters, use_tqdm=False)
    seconds = time.perf_counter() - begun
    tokens = sum(len(made.prompt_token_ids or ()) + len(made.outputs[0].token_ids) for made in outputs)
    return 1000 * seconds / tokens


def orders() -> "list[Order]":
    """The recipes without demonstrations, so that all begin with the passage; none fails the run."""
    return [order_of(plain(load_recipe(name))) for name in RECIPES]


def plain(recipe: Recipe) -> Recipe:
    """The recipe without demonstrations."""
    prompt = recipe.prompt.model_copy(update={"demonstrations": ()})
    return recipe.model_copy(update={"prompt": prompt, "max_failure_rate": 1.0})


def order_of(recipe: Recipe) -> "Order":
    """The recipe over every passage."""
    from tasks.orders import Order

    model = language_model_id(SETTINGS)
    return Order(recipe, recipe_id(recipe, model), model, RecipeSettings(name=recipe.name))


def corpus() -> Corpus:
    """A corpus that only names the model."""
    told = {"name": "bench", "folder": {"path": ".", "url_prefix": "http://localhost/"}}
    return Corpus.model_validate(told | {"language_model": SETTINGS.model_dump()})


def chunk(number: int, text: str) -> dict[str, Any]:
    """A row of `chunks`."""
    changed = {"chunk_id": f"{number}", "text": text, "text_hash": digest(text), "heading_path": ["Python"]}
    return {**CHUNKS.example, **changed}


def texts(count: int) -> list[str]:
    """Passages of a chunk's usual length, of Python's own documentation; each once, in a seeded order."""
    words = [word for name in MODULES for word in pydoc.render_doc(name, renderer=pydoc.plaintext).split()]
    found = [" ".join(words[start : start + WORDS]) for start in range(0, len(words), WORDS)]
    random.Random(5).shuffle(found)
    return list(dict.fromkeys(found))[:count]


if __name__ == "__main__":
    main()
