"""Index gates: each stops a version that has the fault it looks for."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from models.fake import FAKE_ENCODER_ID, FakeEncoder
from schemas.corpus import IndexSettings
from schemas.vectors import vectors_id
from tasks.index_gates import (
    FEWEST_QUERIES,
    Evidence,
    Predecessor,
    index_gates,
    judge_index,
    known_item_mrr,
    measure_index,
)
from tasks.judged import Judged
from tests.bundles import SENTENCES, built, chunks_of, hash_of, source_of, vectors_for
from warehouse.bundle import Bundle, build_bundle

# Three passages that answer the known item's query better than its own does: more of its words, and fewer others.
CROWD = ("Keeps a list in order.", "Keeps a list in order, sorted.", "A list keeps sorted order.")
NUMBERED = tuple(f"Moth number {number} flies at night." for number in range(12))
LIVE = (*SENTENCES, *NUMBERED, *CROWD)
KNOWN_ITEM = ("keeps a list in sorted order", SENTENCES[0])
GONE = "A sentence of a page that is gone."


def evidence(**changes: object) -> Evidence:
    known = ((KNOWN_ITEM[0], hash_of(KNOWN_ITEM[1])),) * FEWEST_QUERIES
    return replace(Evidence(chunks_of(LIVE)["chunk_id"], vectors_for((*LIVE, GONE)), known), **changes)


def judging(query: str, page: int) -> Judged:
    """Many queries that are one, answered by the page with this number."""
    query_ids = [f"q{number}" for number in range(FEWEST_QUERIES)]
    url = f"http://docs.test/{page}.html"
    return Judged(dict.fromkeys(query_ids, query), {query_id: {url: 1} for query_id in query_ids})


def shuffled(bundle: Bundle) -> Bundle:
    """The bundle with every vector at another text's number."""
    size = bundle.dense.size
    wrong = faiss.IndexFlatIP(bundle.dense.dimension)
    wrong.add(np.roll(bundle.dense.vectors(np.arange(size)), 7, axis=0))
    faiss.write_index(wrong, str(bundle.folder / "dense.faiss"))
    return Bundle(bundle.folder, bundle.manifest)


def test_a_good_version_is_measured_by_hand(tmp_path: Path) -> None:
    live = built(tmp_path, LIVE[:20])
    judged = judging(SENTENCES[1], page=1)

    figures = measure_index(
        built(tmp_path, LIVE), Predecessor(live), evidence(judged=judged, smoke_queries=("heap",)), FakeEncoder()
    )

    assert figures.keys() == {gate.name for gate in index_gates(IndexSettings())}
    assert figures["chunks_lost_share"] == 0
    assert figures["chunks_gained_share"] == pytest.approx(1 / 20)
    assert figures["own_texts_found"] == figures["recall_at_10"] == figures["dense_ndcg_at_10"] == 1
    assert all(gate.holds(figures[gate.name]) for gate in index_gates(IndexSettings(max_known_item_drop=1)))


def test_what_cannot_be_measured_has_no_figure(tmp_path: Path) -> None:
    figures = measure_index(built(tmp_path, LIVE), None, evidence(known_items=()), FakeEncoder())

    assert figures.keys() == {"live_chunks_missing", "dead_chunks_present", "recall_at_10", "own_texts_found"}


def test_a_few_queries_are_not_taken_for_a_drop(tmp_path: Path) -> None:
    few = evidence(known_items=((KNOWN_ITEM[0], hash_of(KNOWN_ITEM[1])),), judged=Judged({"q": "heap"}, {"q": {}}))

    figures = measure_index(built(tmp_path, LIVE), Predecessor(built(tmp_path, LIVE[:-3])), few, FakeEncoder())

    assert [name for name in figures if name.endswith("drop")] == []


def test_mrr_is_the_mean_of_reciprocal_ranks_down_to_ten(tmp_path: Path) -> None:
    bundle = built(tmp_path, LIVE)
    queries = ["sockets", "sockets", "moth flies night", "heap"]
    # First; second, as all texts that share no word with the query are; behind twelve moths; not indexed.
    sought = [hash_of(SENTENCES[5]), hash_of(NUMBERED[5]), hash_of(SENTENCES[5]), hash_of("never indexed")]

    assert known_item_mrr(bundle, FakeEncoder().encode(queries).vectors, sought) == (1 + 1 / 2 + 0 + 0) / 4


def test_a_live_version_of_another_encoder_is_compared_by_what_its_gates_had_measured(tmp_path: Path) -> None:
    source = source_of(LIVE)
    other = build_bundle(tmp_path, replace(source, encoder_id="another"), vectors_for(LIVE))
    recorded = {"known_item_mrr_at_10": 1.0, "dense_ndcg_at_10": 0.75}
    judged = judging("xylophone", page=1)

    figures = measure_index(built(tmp_path, LIVE), Predecessor(other, recorded), evidence(judged=judged), FakeEncoder())

    assert figures["known_item_mrr_drop"] == 1 - figures["known_item_mrr_at_10"]
    assert figures["dense_ndcg_drop"] == 0.75 - figures["dense_ndcg_at_10"]


def test_a_live_version_that_encodes_more_of_its_passages_is_asked_by_the_same_encoder(tmp_path: Path) -> None:
    more = vectors_for({sentence: f"{sentence} {KNOWN_ITEM[0]}" for sentence in LIVE if sentence not in CROWD})
    live = replace(source_of(LIVE[:-3]), encoder_id=vectors_id(FAKE_ENCODER_ID, "c"))
    other = Predecessor(build_bundle(tmp_path, live, more))

    figures = measure_index(built(tmp_path, LIVE), other, evidence(), FakeEncoder())

    queries = FakeEncoder().encode([KNOWN_ITEM[0]]).vectors
    before = known_item_mrr(other.bundle, queries, [hash_of(KNOWN_ITEM[1])])
    assert (before, figures["known_item_mrr_drop"]) == (1, 1 - figures["known_item_mrr_at_10"])


@dataclass(frozen=True)
class Fault:
    """A version with one thing wrong, and the gates that must see it.

    Attributes:
        gates: that fail, and no other does.
        candidate: passages of the version.
        live: passages of the live one.
        spoil: what is done to the version's files.
        thresholds: of the corpus file.
    """

    gates: tuple[str, ...]
    candidate: tuple[str, ...] = LIVE
    live: tuple[str, ...] = LIVE[:-1]
    spoil: Callable[[Bundle], object] | None = None
    thresholds: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.gates[0]


# What other gates see of a fault is let pass, so that the ones named are all that can stop the version.
BLIND = {"min_recall": 0, "min_own_texts": 0, "min_known_item_mrr": 0, "max_known_item_drop": 1, "max_ndcg_drop": 1}
UNCROWDED = (*LIVE[:-3], "Once there was another.")
FAULTS = [
    Fault(("live_chunks_missing",), candidate=LIVE[:-1]),
    Fault(("dead_chunks_present",), candidate=(*LIVE, GONE)),
    Fault(("recall_at_10",), spoil=shuffled, thresholds={"min_recall": 0.95}),
    Fault(("own_texts_found",), spoil=shuffled, thresholds={"min_own_texts": 0.9}),
    Fault(("known_item_mrr_at_10",), spoil=shuffled, thresholds={"min_known_item_mrr": 0.5}),
    Fault(("known_item_mrr_drop",), live=UNCROWDED, thresholds={"max_known_item_drop": 0.05}),
    Fault(("dense_ndcg_at_10", "lexical_ndcg_at_10"), thresholds={"min_ndcg": 0.9}),
    Fault(("dense_ndcg_drop", "lexical_ndcg_drop"), live=UNCROWDED, thresholds={"max_ndcg_drop": 0.02}),
    Fault(("smoke_queries_unanswered",), thresholds={"smoke_queries": ("moth", "xylophone")}),
    Fault(("chunks_lost_share",), live=(*LIVE, *(f"Once number {number}." for number in range(30)))),
    Fault(("chunks_gained_share",), live=LIVE[:1]),
]


def test_every_gate_has_a_version_that_fails_it() -> None:
    assert {name for fault in FAULTS for name in fault.gates} == {gate.name for gate in index_gates(IndexSettings())}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_version_with_a_fault_fails_the_gate_that_looks_for_it_alone(fault: Fault, tmp_path: Path) -> None:
    settings = IndexSettings(**{**BLIND, **fault.thresholds})
    judged = judging(KNOWN_ITEM[0], page=0)
    live, candidate = built(tmp_path, fault.live), built(tmp_path, fault.candidate)
    if fault.spoil:
        fault.spoil(candidate)
    found = evidence(judged=judged, smoke_queries=settings.smoke_queries)

    result = judge_index(
        Bundle(candidate.folder, candidate.manifest), Predecessor(live), found, FakeEncoder(), settings
    )

    assert tuple(gate.name for gate in result.failed) == fault.gates
