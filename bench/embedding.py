"""From pending passages to committed vectors, beside `SentenceTransformer.encode` over the same texts.

    python -m bench.embedding [--corpus FILE] [--texts N] [--rounds N] [--precision NAME]
                              [--backend NAME] [--json]

The library encodes the texts batch by batch as they come, and all at once, which it sorts by their length in
characters; both times it stores nothing. Ours finds the texts in the table, encodes them and commits every vector.
All three have the same model, batch size and precision, in this process, in turn; the best of the rounds counts.
The library runs in torch, ours in the backend; where ours is not torch in float32, that is also timed. FILE is a
corpus in BEIR's format; without it the texts are made of words of Python's own documentation, of lengths as passages
have them.
"""

import json
import keyword
import pydoc_data.topics
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from bench.report import Measured, print_measured
from models.encoder import Encoder
from models.folders import model_folder
from models.opening import open_encoder, token_counter
from models.precision import device_for, in_precision, loaded_as
from schemas.chunks import CHUNKS
from schemas.corpus import Corpus, EncoderSettings
from schemas.embeddings import EMBEDDINGS
from schemas.errors import NightjarError
from schemas.hashing import digest, text_hash
from tasks.embeddings import embed
from tasks.run import Run, Silent
from warehouse.session import open_session
from warehouse.tables import Warehouse

DS = date(2026, 1, 1)
WARM_TEXTS = 64
Way = Callable[[], float]
"""Does all of the work, and returns the seconds it took."""


def made_texts(count: int) -> list[str]:
    """Distinct texts of 10 to 250 words; most are short, as passages are."""
    drawn = random.Random(7)
    words = sorted({word for topic in pydoc_data.topics.topics.values() for word in topic.split()} | {*keyword.kwlist})
    lengths = [min(250, 10 + int(drawn.expovariate(1 / 60))) for _ in range(count)]
    return [" ".join(drawn.choices(words, k=length)) for length in lengths]


def read_texts(corpus: Path, count: int) -> list[str]:
    """The first distinct passages of a corpus in BEIR's format, with their titles."""
    texts: dict[str, None] = {}
    with corpus.open(encoding="utf-8") as lines:
        for line in lines:
            passage = json.loads(line)
            texts[f"{passage.get('title', '')}\n{passage['text']}".strip()] = None
            if len(texts) == count:
                break
    return list(texts)


def stored_passages(texts: Sequence[str], settings: EncoderSettings) -> pa.Table:
    """The texts as live passages, with their tokens counted, as they stand after chunking."""
    tokens = token_counter(settings).count(texts)
    rows = [
        {
            **CHUNKS.example,
            "chunk_id": digest(str(number), text),
            "heading_path": [],
            "text": text,
            "text_hash": text_hash([], text),
            "tokens": count,
            "live": True,
        }
        for number, (text, count) in enumerate(zip(texts, tokens, strict=True))
    ]
    return CHUNKS.rows(rows)


def ours(texts: Sequence[str], settings: EncoderSettings, encoder: Encoder) -> Way:
    """The embed stage over a fresh warehouse whose passages are there before the clock starts."""
    passages = stored_passages(texts, settings)

    def work() -> float:
        with tempfile.TemporaryDirectory() as root:
            warehouse = Warehouse(open_session(), root)
            warehouse.add(CHUNKS, passages)
            warehouse.version(EMBEDDINGS)
            corpus = Corpus.model_validate({"name": "bench", "warehouse": root, "crawl": {"seeds": ["http://bench/"]}})
            run = Run(warehouse, corpus, "bench", DS, Silent())
            begun = time.perf_counter()
            with run.stage("embed") as stage:
                embed(stage, encoder.encoder_id, lambda: encoder)
            seconds = time.perf_counter() - begun
            stored = warehouse.read(EMBEDDINGS).count()
        if stored != len(texts):
            raise SystemExit(f"bench.embedding: {stored} of {len(texts)} vectors were committed")
        return seconds

    return work


def library(settings: EncoderSettings) -> Any:  # noqa: ANN401
    """The same model, opened by sentence-transformers alone."""
    from sentence_transformers import SentenceTransformer

    folder, precision = str(model_folder(settings.model)), settings.precision
    kwargs = {"dtype": loaded_as(precision)}
    model = SentenceTransformer(folder, local_files_only=True, device=device_for(precision), model_kwargs=kwargs)
    return in_precision(model.eval(), precision)


def in_arrival_order(model: Any, texts: Sequence[str], batch: int) -> Way:  # noqa: ANN401
    """`encode` for one batch after the other, as texts come."""

    def work() -> float:
        begun = time.perf_counter()
        for start in range(0, len(texts), batch):
            model.encode(list(texts[start : start + batch]), batch_size=batch, normalize_embeddings=True)
        return time.perf_counter() - begun

    return work


def in_own_order(model: Any, texts: Sequence[str], batch: int) -> Way:  # noqa: ANN401
    """`encode` for all texts at once."""

    def work() -> float:
        begun = time.perf_counter()
        model.encode(list(texts), batch_size=batch, normalize_embeddings=True)
        return time.perf_counter() - begun

    return work


def fastest(ways: dict[str, Way], rounds: int) -> dict[str, float]:
    """Seconds of each way in its best round; every round runs each once, in turn."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            taken[name].append(way())
    return {name: min(seconds) for name, seconds in taken.items()}


def main(
    corpus: Annotated[Path | None, typer.Option(help="corpus.jsonl in BEIR's format")] = None,
    count: Annotated[int, typer.Option("--texts", min=1, help="distinct texts that are encoded")] = 2000,
    rounds: Annotated[int, typer.Option(min=1, help="times that each way runs")] = 2,
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or int8")] = "float32",
    backend: Annotated[str, typer.Option(help="torch or openvino, for ours alone")] = "torch",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Time ours and the library's over the same texts."""
    settings = EncoderSettings.model_validate({"precision": precision, "backend": backend})
    texts = read_texts(corpus, count) if corpus else made_texts(count)
    model, batch = library(settings), settings.batch_size
    encoder = open_encoder(settings)  # another precision or backend passes its parity gate here, or the run ends
    ways = {
        "ours": ours(texts, settings, encoder),
        "arrival order": in_arrival_order(model, texts, batch),
        "own order": in_own_order(model, texts, batch),
    }
    exact = settings.model_copy(update={"precision": "float32", "backend": "torch"})
    if settings != exact:
        ways["ours, float32"] = ours(texts, exact, open_encoder(exact))
    ours(texts[:WARM_TEXTS], settings, encoder)()  # the JVM's first plans, and torch's first pass
    seconds = fastest(ways, rounds)
    print_measured(compared(seconds, len(texts), precision, backend), as_json)


def compared(seconds: dict[str, float], texts: int, precision: str, backend: str = "torch") -> list[Measured]:
    """Seconds a thousand texts of ours beside each reference's; twice as fast is half of the seconds."""
    goals = {
        "arrival order": 1 / 2,
        "own order": 1 / 0.95,
        "ours, float32": 1 / 1.5 if precision == "bfloat16" else None,
    }
    scaled = {name: 1000 * taken / texts for name, taken in seconds.items()}
    return [
        Measured(f"embed in {precision} by {backend}, s/1,000 texts", scaled["ours"], reference, name, goals[name])
        for name, reference in scaled.items()
        if name != "ours"
    ]


if __name__ == "__main__":
    try:
        typer.run(main)
    except NightjarError as error:
        sys.exit(str(error))
