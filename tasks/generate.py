"""Generation: from sources to checked samples, recipe by recipe. Knows no table store and no scheduler."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import Any

from models.language import Generation, LanguageModel, Request, Sampling
from schemas.quarantine import Reason
from tasks.outcome import Rejection
from tasks.output import PARSERS, BadOutput, Parsed, read_output
from tasks.prompts import build_prompt, fixed_text
from tasks.recipes import Recipe

RETRY_SEED = 1_000_003
RETRY_TEMPERATURE = 0.5
RETRY_TOP_P = 0.9
HOPELESS = (Reason.TOO_LONG, Reason.ENGINE_FAILED)
"""Why an output failed that another try cannot better."""


@dataclass(frozen=True)
class Source:
    """A passage or a question, and what is to be written about it.

    Attributes:
        values: what its key column says, with `heading_path` and `text`, or with `question`.
        recipes: names of the recipes that are wanted of it.
    """

    key: str
    values: Mapping[str, Any]
    recipes: frozenset[str]

    @property
    def text(self) -> str:
        """What must not be empty."""
        return str(self.values["text"] if "text" in self.values else self.values["question"])


@dataclass(frozen=True)
class Sample:
    """One good output: its value, and what the attempt that gave it cost."""

    number: int
    text: str
    items: tuple[str, ...] | None
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Written:
    """What became of a source under one recipe.

    Attributes:
        recipe: its name.
        rejection: where there is no good sample, with the reason of the first attempt.
        prompt_tokens: read by the model, in all attempts.
        output_tokens: written by it, in all attempts.
        requests: attempts, of all samples.
    """

    recipe: str
    source_key: str
    samples: tuple[Sample, ...] = ()
    rejection: Rejection | None = None
    prompt_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0


def write(recipes: Sequence[Recipe], model: LanguageModel, sources: Iterable[Source]) -> Iterator[Written]:
    """Have a model write about sources, each sample tried once more if it is no good.

    The recipes that are wanted of a source are asked for next to each other, and those that begin with the source
    come first: what their prompts share is read once. Demonstrations stand at the beginning of a prompt and are the
    same for all sources, so that they are read once, too.

    Args:
        sources: taken as the model has room for them.

    Yields:
        One of each source and recipe, as they are done: not in the order of the sources.

    Raises:
        ModelError: the model does not answer.
    """
    desks = [_Desk(recipe) for recipe in sorted(recipes, key=lambda recipe: bool(recipe.prompt.demonstrations))]
    empty: deque[Written] = deque()
    again: deque[_Draft] = deque()
    fresh = _drafts(desks, sources, empty)
    while True:  # a second call is for retries that come up when nothing new is left
        asked: dict[int, _Draft] = {}
        for number, generation in model.generate(_requests(again, fresh, asked)):
            draft = asked.pop(number)
            draft.judge(generation)
            if draft.worth_retrying:
                again.append(draft)
            elif draft.work.done:
                yield draft.work.written()
            while empty:
                yield empty.popleft()
        if not again:
            break
    yield from empty


class _Desk:
    """A recipe as it is worked with."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.parser = PARSERS[recipe.parser]
        self.fixed = fixed_text(recipe)

    def judge(self, generation: Generation) -> Parsed | BadOutput:
        try:
            return read_output(generation, self.parser, self.recipe.output, self.fixed)
        except BadOutput as bad:
            return bad


@dataclass
class _Work:
    """A source under one recipe, with a draft of every sample."""

    desk: _Desk
    source: Source
    drafts: list["_Draft"] = field(default_factory=list)

    @cached_property
    def request(self) -> Request:
        recipe = self.desk.recipe
        return Request(build_prompt(recipe, self.source.values), _sampling(recipe), recipe.output)

    @property
    def done(self) -> bool:
        return all(draft.attempts and not draft.worth_retrying for draft in self.drafts)

    def written(self) -> Written:
        spent = [generation for draft in self.drafts for generation, _ in draft.attempts]
        samples = tuple(sample for draft in self.drafts if (sample := draft.sample()))
        return Written(
            recipe=self.desk.recipe.name,
            source_key=self.source.key,
            samples=samples,
            rejection=None if samples else self._rejection(),
            prompt_tokens=sum(generation.prompt_tokens for generation in spent),
            output_tokens=sum(generation.output_tokens for generation in spent),
            requests=len(spent),
        )

    def _rejection(self) -> Rejection:
        generation, bad = self.drafts[0].attempts[0]
        assert isinstance(bad, BadOutput)
        return Rejection(self.source.key, bad.reason, bad.detail, generation.text or None)


@dataclass
class _Draft:
    """One sample in the making: what was generated, and the value of it or what is wrong with it."""

    work: _Work
    number: int
    attempts: list[tuple[Generation, Parsed | BadOutput]] = field(default_factory=list)

    @property
    def request(self) -> Request:
        """The sample's own seed; after a bad attempt another one, some chance for it to count in, and more room."""
        request = self.work.request
        sampling = replace(request.sampling, seed=request.sampling.seed + self.number)
        return replace(request, sampling=_retry(sampling) if self.attempts else sampling)

    @property
    def worth_retrying(self) -> bool:
        if len(self.attempts) != 1:
            return False
        _, verdict = self.attempts[0]
        return isinstance(verdict, BadOutput) and verdict.reason not in HOPELESS

    def judge(self, generation: Generation) -> None:
        self.attempts.append((generation, self.work.desk.judge(generation)))

    def sample(self) -> Sample | None:
        generation, verdict = self.attempts[-1]
        if isinstance(verdict, BadOutput):
            return None
        tokens = (generation.prompt_tokens, generation.output_tokens)
        return Sample(self.number, verdict.text, verdict.items, *tokens)


def _drafts(desks: Sequence[_Desk], sources: Iterable[Source], empty: deque[Written]) -> Iterator[_Draft]:
    """Drafts of every wanted sample; sources without text are put aside as rejected."""
    for source in sources:
        for desk in desks:
            if desk.recipe.name not in source.recipes:
                continue
            if not source.text.strip():
                empty.append(_without_text(desk, source))
                continue
            work = _Work(desk, source)
            work.drafts = [_Draft(work, number) for number in range(desk.recipe.samples)]
            yield from work.drafts


def _requests(again: deque[_Draft], fresh: Iterator[_Draft], asked: dict[int, _Draft]) -> Iterator[Request]:
    """Requests of the drafts, those that are tried again first; `asked` says of which draft each number is."""
    for number in count():
        draft = again.popleft() if again else next(fresh, None)
        if draft is None:
            return
        asked[number] = draft
        yield draft.request


def _without_text(desk: _Desk, source: Source) -> Written:
    rejection = Rejection(source.key, Reason.EMPTY_TEXT, "the source has no text")
    return Written(desk.recipe.name, source.key, rejection=rejection)


def _sampling(recipe: Recipe) -> Sampling:
    decoding = recipe.decoding
    return Sampling(
        max_tokens=decoding.max_tokens,
        temperature=decoding.temperature,
        top_p=decoding.top_p,
        frequency_penalty=decoding.frequency_penalty,
        seed=decoding.seed,
        stop=decoding.stop,
    )


def _retry(sampling: Sampling) -> Sampling:
    return replace(
        sampling,
        max_tokens=2 * sampling.max_tokens,
        temperature=max(sampling.temperature, RETRY_TEMPERATURE),
        top_p=min(sampling.top_p, RETRY_TOP_P),
        seed=sampling.seed + RETRY_SEED,
    )
