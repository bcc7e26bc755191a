"""What an index version must prove before it serves: its gates, and the figures that they judge.

What there is nothing to measure with is left out, and its gate with it: known items before a query was kept, judged
queries in a corpus that has none, drops and drift where nothing was live before, drops where queries are few.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.encoder import Encoder
from schemas.corpus import IndexSettings
from schemas.hashing import digest
from schemas.passage import passage_text
from schemas.table import Expectation
from schemas.vectors import query_encoder
from tasks.judged import Judged
from tasks.measures import Measurer
from warehouse.bundle import Bundle
from warehouse.figures import SEED, check_bundle, round_trip_ranks
from warehouse.gates import GateResult, judge

DEPTH = 10
NDCG = "nDCG@10"
OWN_TEXTS = 20
# More queries than these would move a mean by less than the margins, and each costs the encoder's time every night.
MOST_QUERIES = 500
# With fewer, a single query that falls by a rank would be taken for a drop of the whole.
FEWEST_QUERIES = 20


@dataclass(frozen=True)
class Evidence:
    """What a version is held against.

    Attributes:
        live_chunk_ids: of all live passages.
        vectors: `text_hash` and `vector` of every text in the version.
        known_items: kept synthetic queries and the text_hash of the text each was written for.
        judged: queries with relevance judgments, where the corpus has them.
        smoke_queries: queries that must find something.
    """

    live_chunk_ids: "pa.ChunkedArray[Any]"
    vectors: pa.Table
    known_items: Sequence[tuple[str, str]] = ()
    judged: Judged | None = None
    smoke_queries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Predecessor:
    """The live version, which a new one is compared with.

    Attributes:
        figures: what its own gates measured. They stand in for what the new version's encoder cannot measure in it.
    """

    bundle: Bundle
    figures: Mapping[str, float] = field(default_factory=dict)


def index_gates(settings: IndexSettings) -> tuple[Expectation, ...]:
    """What every index version must prove before it serves, with the corpus file's thresholds."""
    no_drop = settings.max_ndcg_drop
    return (
        Expectation("live_chunks_missing", "", maximum=0, meaning="every live chunk is in the index"),
        Expectation("dead_chunks_present", "", maximum=0, meaning="no chunk of a page that is gone is in it"),
        _least("recall_at_10", settings.min_recall, "recall@10 of the dense index against exact search"),
        _least("own_texts_found", settings.min_own_texts, "share of passages that their own text finds"),
        _most("smoke_queries_unanswered", 0, "every smoke query finds something"),
        _least("known_item_mrr_at_10", settings.min_known_item_mrr, "MRR@10 of kept synthetic queries"),
        _most("known_item_mrr_drop", settings.max_known_item_drop, "kept queries rank no worse than in the live index"),
        _least("dense_ndcg_at_10", settings.min_ndcg, "nDCG@10 of judged queries, dense"),
        _least("lexical_ndcg_at_10", settings.min_ndcg, "nDCG@10 of judged queries, lexical"),
        _most("dense_ndcg_drop", no_drop, "judged queries do no worse than in the live index, dense"),
        _most("lexical_ndcg_drop", no_drop, "judged queries do no worse than in the live index, lexical"),
        _most("chunks_lost_share", settings.max_chunks_lost, "chunks fewer than in the live index, as a share of its"),
        _most("chunks_gained_share", settings.max_chunks_gained, "chunks more than in it, as a share of its"),
    )


def judge_index(
    built: Bundle, live: Predecessor | None, evidence: Evidence, encoder: Encoder, settings: IndexSettings
) -> GateResult:
    """Hold a version against every gate that there is something to judge by."""
    figures = measure_index(built, live, evidence, encoder)
    measured = [gate for gate in index_gates(settings) if gate.name in figures]
    return judge(f"index-{built.manifest.index_id}", figures, measured)


def measure_index(built: Bundle, live: Predecessor | None, evidence: Evidence, encoder: Encoder) -> dict[str, float]:
    """The figures that the gates judge, by their names.

    Args:
        live: the version to compare with; None where nothing is live.
        encoder: the one that `built` is of.
    """
    return {
        **check_bundle(built, evidence.live_chunk_ids, evidence.vectors),
        "own_texts_found": own_texts_found(built, encoder),
        **_smoke_figures(built, evidence.smoke_queries),
        **_known_item_figures(built, live, evidence.known_items, encoder),
        **_judged_figures(built, live, evidence.judged, encoder),
        **(drift(built, live.bundle) if live else {}),
    }


def own_texts_found(bundle: Bundle, encoder: Encoder) -> float:
    """Share of a seeded sample of texts that are among the first ten results, dense and lexical, of their own words.

    It falls where vectors are not of this encoder, or stand with other texts. A text without a term is found lexically
    by nothing, and is asked for densely alone.
    """
    text_hashes = pc.unique(bundle.stored.chunks["text_hash"]).to_pylist()
    order = np.random.default_rng(SEED).permutation(len(text_hashes))[:OWN_TEXTS]
    chosen = [text_hashes[position] for position in order]
    sample = bundle.stored.numbers(pa.chunked_array([chosen], pa.string())).tolist()
    passages = bundle.stored.passages(sample)
    texts = [passage_text(passage["heading_path"], passage["text"]) for passage in passages]
    dense = bundle.dense.search(encoder.encode(texts).vectors, DEPTH).numbers
    found = [
        number in dense[position] and _finds_lexically(bundle, texts[position], number)
        for position, number in enumerate(sample)
    ]
    return float(np.mean(found))


def known_item_mrr(bundle: Bundle, query_vectors: NDArray[np.float32], text_hashes: Sequence[str]) -> float:
    """MRR@10: mean of 1 / rank of the text that each query was written for, 0 beyond rank ten.

    Args:
        query_vectors: at least one, a query a row.
        text_hashes: of the text that each query was written for.
    """
    ranks = round_trip_ranks(bundle, query_vectors, text_hashes, DEPTH)
    return float(np.mean([1 / rank if rank else 0.0 for rank in ranks]))


def drift(built: Bundle, live: Bundle) -> dict[str, float]:
    """How many chunks fewer and more the version has than the live one, as shares of the live one's."""
    before, after = live.manifest.chunks, built.manifest.chunks
    return {
        "chunks_lost_share": max(before - after, 0) / before,
        "chunks_gained_share": max(after - before, 0) / before,
    }


def _smoke_figures(bundle: Bundle, queries: Sequence[str]) -> dict[str, float]:
    """Lexically: a dense search always finds something."""
    if not queries:
        return {}
    unanswered = [query for query in queries if not bundle.lexical.search(query, 1).numbers.size]
    return {"smoke_queries_unanswered": float(len(unanswered))}


def _known_item_figures(
    built: Bundle, live: Predecessor | None, items: Sequence[tuple[str, str]], encoder: Encoder
) -> dict[str, float]:
    """Versions are compared by queries for texts that both have: what one of them lacks tells of drift, not of rank."""
    if not items:
        return {}
    vectors = encoder.encode_queries([query for query, _ in items]).vectors
    hashes = [text_hash for _, text_hash in items]
    figures = {"known_item_mrr_at_10": known_item_mrr(built, vectors, hashes)}
    if live is None:
        return figures
    if query_encoder(live.bundle.manifest.encoder_id) != encoder.encoder_id:
        return figures | _drop("known_item_mrr", live, figures["known_item_mrr_at_10"])
    in_both = _in_index(live.bundle, hashes) & _in_index(built, hashes)
    shared = np.array(hashes)[in_both].tolist()
    if len(shared) >= FEWEST_QUERIES:
        before, after = (known_item_mrr(each, vectors[in_both], shared) for each in (live.bundle, built))
        figures["known_item_mrr_drop"] = before - after
    return figures


def _judged_figures(
    built: Bundle, live: Predecessor | None, judged: Judged | None, encoder: Encoder
) -> dict[str, float]:
    """nDCG@10 of dense and of lexical search, and how far each is below the live version's."""
    if judged is None:
        return {}
    canary = _Canary(judged, encoder)
    figures = {"dense_ndcg_at_10": canary.dense(built), "lexical_ndcg_at_10": canary.lexical(built)}
    if live is None or len(judged.queries) < FEWEST_QUERIES:
        return figures
    figures["lexical_ndcg_drop"] = canary.lexical(live.bundle) - figures["lexical_ndcg_at_10"]
    if query_encoder(live.bundle.manifest.encoder_id) != encoder.encoder_id:
        return figures | _drop("dense_ndcg", live, figures["dense_ndcg_at_10"])
    return figures | {"dense_ndcg_drop": canary.dense(live.bundle) - figures["dense_ndcg_at_10"]}


class _Canary:
    """Judged queries, encoded once, whose mean nDCG@10 any version can be asked for."""

    def __init__(self, judged: Judged, encoder: Encoder) -> None:
        self._query_ids = sorted(judged.queries, key=digest)[:MOST_QUERIES]
        self._texts = [judged.queries[query_id] for query_id in self._query_ids]
        self._vectors = encoder.encode_queries(self._texts).vectors
        self._measure = Measurer([NDCG], {query_id: judged.qrels[query_id] for query_id in self._query_ids})

    def dense(self, bundle: Bundle) -> float:
        found = bundle.dense.search(self._vectors, DEPTH)
        return self._mean(bundle, zip(found.numbers.tolist(), found.scores.tolist(), strict=True))

    def lexical(self, bundle: Bundle) -> float:
        found = [bundle.lexical.search(text, DEPTH) for text in self._texts]
        return self._mean(bundle, [(each.numbers[0].tolist(), each.scores[0].tolist()) for each in found])

    def _mean(self, bundle: Bundle, ranked: Iterable[tuple[Sequence[int], Sequence[float]]]) -> float:
        run = {
            query_id: _by_url(bundle, numbers, scores)
            for query_id, (numbers, scores) in zip(self._query_ids, ranked, strict=True)
        }
        return float(np.mean(list(self._measure(run).values())))


def _by_url(bundle: Bundle, numbers: Sequence[int], scores: Sequence[float]) -> list[tuple[str, float]]:
    """The URLs of the passages with these texts, which is what judgments name."""
    return [
        (url, score)
        for number, score in zip(numbers, scores, strict=True)
        if number >= 0
        for _, url in bundle.stored.chunks_with(number)
    ]


def _drop(figure: str, live: Predecessor, after: float) -> dict[str, float]:
    """How far a figure is below what the live version's own gates measured; nothing where they did not."""
    before = live.figures.get(f"{figure}_at_10")
    return {} if before is None else {f"{figure}_drop": before - after}


def _finds_lexically(bundle: Bundle, text: str, number: int) -> bool:
    return not bundle.lexical.terms(text) or number in bundle.lexical.search(text, DEPTH).numbers


def _in_index(bundle: Bundle, text_hashes: Sequence[str]) -> NDArray[np.bool_]:
    return bundle.stored.numbers(pa.chunked_array([text_hashes], pa.string())) >= 0


def _least(name: str, minimum: float, meaning: str) -> Expectation:
    return Expectation(name, "", minimum=minimum, meaning=meaning)


def _most(name: str, maximum: float, meaning: str) -> Expectation:
    return Expectation(name, "", maximum=maximum, meaning=meaning)
