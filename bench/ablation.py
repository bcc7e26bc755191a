"""Are an ablation's figures right? Measures and vector feedback are computed again, without its code.

    nightjar nightly CORPUS && nightjar ablate CORPUS
    python -m bench.ablation CORPUS [--json]

CORPUS names `[passages]` and `[judged]`. The collection's files are read anew and encoded directly with
sentence-transformers, or, where the corpus's encoder is promptreps, with transformers. Inner products, feedback and
rankings are NumPy's. Rankings are compared query by query; passages whose scores are equal to rounding may change
places. The means of every measure, of every configuration, are computed by ir-measures from the table `rankings` and
the judgments' file.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

import ir_measures
import numpy as np
import typer
from numpy.typing import NDArray
from pyspark.sql import functions as F

from bench.report import Measured, print_measured
from flows.ablating import ablate
from models.environment import prepare_environment
from models.folders import model_folder
from schemas.corpus import Corpus, EncoderSettings, load_corpus
from schemas.rankings import RANKINGS
from warehouse.session import open_session
from warehouse.tables import Warehouse

Vectors = NDArray[np.float32]

K = 10
# Of means: six digits.
SAME = 5e-7
# Two sums of the same products in another order, and two batches of one text, differ by less.
ROUNDING = 5e-5
# PromptReps' prompt (arXiv 2404.18424), with a mark where the text goes.
MARK = "<text>"
SYSTEM = "You are an AI assistant that can understand human language."
ANSWER = 'The word is: "'
BATCH = 32
LONGEST = 512


@dataclass(frozen=True)
class Collection:
    """A test collection as its files have it.

    Attributes:
        passages: text, with title, by id.
        queries: by id; those that are judged.
        qrels: grade by query and passage.
    """

    passages: Mapping[str, str]
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]


def read_collection(corpus: Corpus) -> Collection:
    """The files that a corpus names, in BEIR's format."""
    assert corpus.passages
    assert corpus.judged
    qrels: dict[str, dict[str, int]] = {}
    with Path(corpus.judged.qrels).open(encoding="utf-8", newline="") as file:
        for query, passage, grade in list(csv.reader(file, delimiter="\t"))[1:]:
            qrels.setdefault(query, {})[passage] = int(grade)
    passages = {
        row["_id"]: f"{row['title'].strip()}\n{row['text'].strip()}".strip() for row in _rows(corpus.passages.path)
    }
    queries = {row["_id"]: row["text"] for row in _rows(corpus.judged.queries) if row["_id"] in qrels}
    return Collection({key: text for key, text in passages.items() if text}, queries, qrels)


def _rows(path: str) -> Iterator[dict[str, Any]]:
    with Path(path).open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def encode(settings: EncoderSettings, texts: Sequence[str], side: str) -> Vectors:
    """Unit vectors of texts, by the encoder's own library."""
    prepare_environment()
    if settings.engine == "promptreps":
        return _promptreps(model_folder(settings.model), texts, side)
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(model_folder(settings.model)), local_files_only=True, device="cpu")
    return np.asarray(model.encode(list(texts), batch_size=BATCH, normalize_embeddings=True), np.float32)


def _promptreps(folder: Path, texts: Sequence[str], side: str) -> Vectors:
    """Last hidden states of the last token of the prompt, one text at a time: no padding, no batch."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    user = f'{side.capitalize()}: "{MARK}". Use one most important word to represent the {side} in retrieval task. '
    user += "Make sure your word is in lowercase."
    chat = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
    rendered = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) + ANSWER
    before, after = (tokenizer.encode(part, add_special_tokens=False) for part in rendered.split(MARK))
    states = []
    for text in texts:
        ids = [*before, *tokenizer.encode(text, add_special_tokens=False)[:LONGEST], *after]
        with torch.no_grad():
            states.append(model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0, -1].numpy())
    made = np.vstack(states)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def feedback(queries: Vectors, passages: Vectors, first: NDArray[np.int64], method: str, depth: int) -> Vectors:
    """Moved query vectors (arXiv 2108.11044): the mean with the passages', or Rocchio's with 0.4 and 0.6."""
    chosen = passages[first[:, :depth]]
    if method == "average":
        return np.asarray((queries + chosen.sum(axis=1)) / (depth + 1), np.float32)
    return np.asarray(0.4 * queries + 0.6 * chosen.mean(axis=1), np.float32)


def differing(scores: Vectors, ids: Sequence[str], stored: Sequence[Sequence[str]]) -> int:
    """Queries of which a stored passage scores worse than the one that belongs in its place.

    Args:
        scores: of every query and passage.
        stored: ids of each query's first passages.
    """
    place = {key: number for number, key in enumerate(ids)}
    wrong = 0
    for mine, retrieved in zip(scores, stored, strict=True):
        best = np.sort(mine)[::-1][: len(retrieved)]
        found = mine[[place[key] for key in retrieved]]
        wrong += len(retrieved) != min(K, len(ids)) or bool(np.abs(best - found).max() > ROUNDING)
    return wrong


def retrieved(corpus: Corpus, configurations: Sequence[str]) -> dict[str, dict[str, list[tuple[str, float]]]]:
    """What the table says that each configuration and query retrieved, best first."""
    assert corpus.passages
    warehouse = Warehouse(open_session(corpus.spark), corpus.warehouse)
    rows = warehouse.read(RANKINGS).where(F.col("configuration_id").isin(list(configurations)))
    table = warehouse.arrow(RANKINGS, rows.orderBy("configuration_id", "query_id", "rank"))
    found: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for row in table.select(["configuration_id", "query_id", "url", "rank"]).to_pylist():
        passage = unquote(row["url"].removeprefix(corpus.passages.url_prefix))
        queries = found.setdefault(row["configuration_id"], {})
        queries.setdefault(row["query_id"], []).append((passage, -float(row["rank"])))
    return found


def measured(corpus_name: str) -> Iterator[Measured]:
    """The largest difference of a mean, then the queries that a direct computation answers otherwise."""
    corpus, told = load_corpus(corpus_name), ablate(corpus_name)
    collection = read_collection(corpus)
    found = retrieved(corpus, [each["configuration_id"] for each in told["configurations"]])
    largest = max(largest_difference(each, found, collection) for each in told["configurations"])
    yield Measured("largest difference of a mean, millionths", 1e6 * largest, 1e6 * SAME, "six digits", 1)
    texts = {text: number for number, text in enumerate(dict.fromkeys(collection.passages.values()))}
    numbers = [texts[text] for text in collection.passages.values()]
    vectors = encode(corpus.encoder, list(texts), "passage")
    queries = encode(corpus.encoder, list(collection.queries.values()), "query")
    # A text gives feedback once, however many passages have it.
    first = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")
    for each in told["configurations"]:
        if each["method"] in ("none", "average", "rocchio"):
            moved = feedback(queries, vectors, first, each["method"], each["depth"]) if each["depth"] else queries
            stored = found[each["configuration_id"]]
            lists = [[passage for passage, _ in stored[query][:K]] for query in collection.queries]
            wrong = differing((moved @ vectors.T)[:, numbers], list(collection.passages), lists)
            name = f"{each['method']} at depth {each['depth'] or 0}: otherwise, plus one"
            # One is added to both: a ratio of none to none says nothing.
            yield Measured(name, wrong + 1, 1, "directly", 1)


def largest_difference(
    configuration: Mapping[str, Any],
    found: Mapping[str, Mapping[str, Sequence[tuple[str, float]]]],
    collection: Collection,
) -> float:
    """How far the means of a configuration are from ir-measures' own of the stored rankings."""
    run = {query: dict(passages) for query, passages in found[configuration["configuration_id"]].items()}
    qrels = {query: dict(grades) for query, grades in collection.qrels.items() if query in collection.queries}
    measures = [ir_measures.parse_measure(name) for name in configuration["measures"]]
    means = ir_measures.calc_aggregate(measures, qrels, run)
    return max(abs(means[each] - configuration["measures"][str(each)]["mean"]) for each in measures)


def main(
    corpus: Annotated[str, typer.Argument(help="A corpus file with [passages] and [judged].")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Hold an ablation against a computation of its own."""
    print_measured(measured(corpus), as_json)


if __name__ == "__main__":
    typer.run(main)
