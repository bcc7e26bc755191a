"""Versions made of the one before: whatever changed, they answer as one that is written at once."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.encoder import SparseVector
from models.fake import FAKE_ENCODER_ID, FakeEncoder
from schemas.errors import BundleError
from tests.bundles import SENTENCES, chunks_of, features_for, hash_of, vectors_for
from warehouse.bundle import Bundle, Source, build_bundle, open_bundle
from warehouse.extension import Budget, Extension, extend_bundle, why_whole
from warehouse.figures import check_bundle
from warehouse.manifest import Parameters, Wanted
from warehouse.segments import Found

WORDS = ("heap", "queue", "sorted", "list", "socket", "lock")
TEXTS = [*SENTENCES, *(f"The {one} and a {other}." for one in WORDS for other in WORDS)]
QUERIES = ("heap", "sorted list of a queue", "lock the socket", "memory", "patterns in strings", "xylophone")
BUDGET = Budget(least_texts=0, most_segments=100, most_dead=1.0)


@dataclass(frozen=True)
class State:
    """What the tables say on one night.

    Attributes:
        sentences: passages, one of a page of its own each; a sentence may come twice.
        described: sentences with a feature, and what it says.
        appended: sentences that are encoded with a word more, and the word.
        late: sentences beside which a word is encoded by itself, and the word; a sentence may have several.
    """

    sentences: tuple[str, ...]
    described: tuple[tuple[str, str], ...] = ()
    appended: tuple[tuple[str, str], ...] = ()
    late: tuple[tuple[str, str], ...] = ()

    @property
    def encoded(self) -> dict[str, str]:
        """What is encoded of each sentence."""
        more = dict(self.appended)
        return {sentence: f"{sentence} {more.get(sentence, '')}" for sentence in self.sentences}

    def source(self) -> Source:
        rows = chunks_of(self.sentences)
        hashes = [self._input_hash(sentence) for sentence in self.sentences]
        rows = rows.append_column("input_hashes", pa.array(hashes, pa.string()))
        features = features_for(dict(self.described))
        versions, recipes = {"chunks": 1}, ("recipe",)
        return Source(rows, features, FAKE_ENCODER_ID, versions, sparse_encoder_id="sparse", asked_recipes=recipes)

    def _input_hash(self, sentence: str) -> str:
        words = sorted(word for other, word in self.late if other == sentence)
        return " ".join([dict(self.appended).get(sentence, "nothing"), *words])

    def built(self, root: str | Path) -> Bundle:
        return build_bundle(root, self.source(), self.vectors(), sparse_for(self.encoded))

    def vectors(self, own: "pa.Array[pa.StringScalar] | None" = None) -> pa.Table:
        """Own vectors, of some texts if they are named, then those of words beside any."""
        rows = vectors_for(self.encoded)
        if own is not None:
            rows = rows.filter(pa.compute.is_in(rows["text_hash"], own))
        late = sorted({(sentence, word) for sentence, word in self.late if sentence in self.sentences})
        vectors = FakeEncoder().encode([word for _, word in late]).vectors
        beside = {
            "text_hash": pa.array([hash_of(sentence) for sentence, _ in late], pa.string()),
            "vector": pa.array(vectors.tolist(), pa.list_(pa.float32())),
        }
        return pa.concat_tables([rows.select(list(beside)).cast(pa.table(beside).schema), pa.table(beside)])

    def part(self, hashes: set[str]) -> Source:
        whole, among = self.source(), pa.array(sorted(hashes), pa.string())
        keep = {name: pa.compute.is_in(getattr(whole, name)["text_hash"], among) for name in ("chunks", "features")}
        return replace(whole, **{name: getattr(whole, name).filter(mask) for name, mask in keep.items()})


def sparse_for(encoded: Sequence[str] | Mapping[str, str]) -> pa.Table:
    """A term for each word, by its first letter.

    Args:
        encoded: sentences, or what is encoded of each.
    """
    read = encoded if isinstance(encoded, Mapping) else {sentence: sentence for sentence in encoded}
    vectors = [sparse_of(text) for text in read.values()]
    columns = {
        "text_hash": pa.array([hash_of(sentence) for sentence in read], pa.string()),
        "terms": pa.array([vector.terms for vector in vectors], pa.list_(pa.int32())),
        "weights": pa.array([vector.weights for vector in vectors], pa.list_(pa.float32())),
    }
    return pa.table(columns)


def sparse_of(text: str) -> SparseVector:
    terms, counts = np.unique([ord(word[0].lower()) for word in text.split()], return_counts=True)
    return SparseVector(terms.astype(np.int32), counts.astype(np.float32))


def extended(root: str | Path, parent: Bundle, before: State, after: State) -> Bundle:
    """The parent brought from one state to another; every text of either counts as touched."""
    hashes = {hash_of(sentence) for sentence in {*before.sentences, *after.sentences}}
    touched = pa.array(sorted(hashes), pa.string())
    extension = Extension(parent, touched, after.part(hashes))
    return extend_bundle(root, extension, after.vectors(extension.unembedded), sparse_for(after.encoded))


def answers(bundle: Bundle, found: Found) -> list[tuple[str, float]]:
    hashes = bundle.stored.text_hashes.to_pylist()
    return [(hashes[number], score) for number, score in zip(found.numbers[0], found.scores[0].tolist(), strict=True)]


def assert_same(one: Bundle, other: Bundle) -> None:
    """Both hold and answer the same."""
    counts = ("index_id", "chunks", "texts", "features", "recipes", "content")
    assert [getattr(one.manifest, name) for name in counts] == [getattr(other.manifest, name) for name in counts]
    for part in ("chunks", "living_features"):
        rows = [getattr(bundle.stored, part).to_pylist() for bundle in (one, other)]
        assert sorted(rows[0], key=str) == sorted(rows[1], key=str)
    for query in QUERIES:
        for k in (1, 3, 100):
            lexical = [answers(bundle, bundle.lexical.search(query, k)) for bundle in (one, other)]
            assert lexical[0] == lexical[1]
            sparse = [answers(bundle, bundle.sparse.search(sparse_of(query), k)) for bundle in (one, other)]
            assert sparse[0] == sparse[1]
    vectors = one.dense.vectors(one.stored.numbers(one.stored.chunks["text_hash"]))[:5]
    for k in (1, 3, 100):
        dense = [bundle.dense.search(vectors, k) for bundle in (one, other)]
        assert dense[0].scores == pytest.approx(dense[1].scores, abs=1e-6)
    everything = [
        {text_hash for text_hash, _ in answers(bundle, bundle.dense.search(vectors[:1], 100))}
        for bundle in (one, other)
    ]
    assert everything[0] == everything[1] == set(one.stored.chunks["text_hash"].to_pylist())


SAID = st.lists(
    st.tuples(st.sampled_from(TEXTS), st.sampled_from(WORDS)), max_size=4, unique_by=lambda pair: pair[0]
).map(tuple)
LATE = st.lists(st.tuples(st.sampled_from(TEXTS), st.sampled_from(WORDS)), max_size=8, unique=True).map(tuple)
STATES = st.builds(State, st.lists(st.sampled_from(TEXTS), min_size=1, max_size=12).map(tuple), SAID, SAID, LATE)


@given(st.lists(STATES, min_size=2, max_size=4))
@settings(deadline=None, max_examples=10)
def test_night_after_night_a_version_is_what_it_would_be_written_at_once(nights: list[State]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        bundle = nights[0].built(root / "0")
        for number, (before, after) in enumerate(pairwise(nights), start=1):
            bundle = extended(root / str(number), bundle, before, after)

            assert_same(bundle, after.built(root / f"whole-{number}"))
            live = chunks_of(after.sentences)["chunk_id"]
            assert check_bundle(bundle, live, after.vectors()) == {
                "live_chunks_missing": 0.0,
                "dead_chunks_present": 0.0,
                "recall_at_10": 1.0,
            }
            open_bundle(bundle.folder, verify=True)


FIRST = State(tuple(TEXTS), ((TEXTS[0], "sorted"), (TEXTS[1], "smallest")))
SECOND = State(("A deque is open at both ends.", *TEXTS[1:]), ((TEXTS[1], "first"),))


def test_unchanged_files_are_shared_and_changed_texts_alone_are_written(tmp_path: Path) -> None:
    parent = FIRST.built(tmp_path)
    bundle = extended(tmp_path, parent, FIRST, SECOND)

    assert (bundle.folder / "dense.faiss").stat().st_ino == (parent.folder / "dense.faiss").stat().st_ino
    assert (bundle.manifest.parent, bundle.manifest.changed) == (parent.manifest.index_id, 3)
    # One came, and one has another feature; that one and the one that went are dead.
    assert (bundle.manifest.segments, bundle.manifest.dead) == ((len(TEXTS), 2), 2)


def test_a_version_outlives_its_parent(tmp_path: Path) -> None:
    parent = FIRST.built(tmp_path)
    bundle = extended(tmp_path, parent, FIRST, SECOND)
    for path in parent.folder.rglob("*"):
        if path.is_file():
            path.unlink()

    assert_same(open_bundle(bundle.folder, verify=True), SECOND.built(tmp_path / "whole"))


def test_the_same_parent_and_change_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = (
        extended(tmp_path / name, FIRST.built(tmp_path / name), FIRST, SECOND).manifest for name in ("one", "other")
    )
    assert one == other


def test_touched_texts_that_are_as_they_were_change_nothing(tmp_path: Path) -> None:
    parent = FIRST.built(tmp_path)
    hashes = {hash_of(sentence) for sentence in TEXTS}
    extension = Extension(parent, pa.array(sorted(hashes)), FIRST.part(hashes))

    assert (extension.index_id, extension.changed) == (parent.manifest.index_id, 0)
    assert extend_bundle(tmp_path, extension, vectors_for([]), sparse_for(TEXTS)).folder == parent.folder


def test_a_text_to_which_something_else_was_appended_is_written_with_its_new_vector(tmp_path: Path) -> None:
    before = State(tuple(TEXTS), appended=((TEXTS[0], "heap"), (TEXTS[1], "lock")))
    after = replace(before, appended=((TEXTS[0], "queue"), (TEXTS[1], "lock")))
    parent = before.built(tmp_path)
    bundle = extended(tmp_path, parent, before, after)

    assert bundle.manifest.index_id != parent.manifest.index_id
    assert (bundle.manifest.changed, bundle.manifest.segments, bundle.manifest.dead) == (1, (len(TEXTS), 1), 1)
    (stored,) = bundle.dense.vectors(bundle.stored.numbers(pa.array([hash_of(TEXTS[0])])))
    (vector,) = FakeEncoder().encode([f"Guide\n{TEXTS[0]} queue"]).vectors
    assert stored == pytest.approx(vector)
    assert parent.stored.unembedded(after.source().stored_chunks).to_pylist() == [hash_of(TEXTS[0])]


def test_words_beside_a_text_come_and_go_with_it(tmp_path: Path) -> None:
    lock, heap = FakeEncoder().encode(["lock", "heap"]).vectors
    before = State(tuple(TEXTS), late=((TEXTS[0], "lock"), (TEXTS[1], "heap")))
    after = replace(before, late=((TEXTS[1], "heap"), (TEXTS[2], "lock"), (TEXTS[2], "heap")))
    parent = before.built(tmp_path)
    bundle = extended(tmp_path, parent, before, after)

    nearest = [answers(each, each.dense.search(lock[np.newaxis], 1))[0] for each in (parent, bundle)]
    assert nearest == [(hash_of(TEXTS[0]), pytest.approx(1.0)), (hash_of(TEXTS[2]), pytest.approx(1.0))]
    # Each text once, however many of its vectors are near.
    both = answers(bundle, bundle.dense.search(heap[np.newaxis], 2))
    assert {text_hash for text_hash, _ in both} == {hash_of(TEXTS[1]), hash_of(TEXTS[2])}
    assert (bundle.manifest.changed, bundle.manifest.segments) == (2, (len(TEXTS), 2))
    assert bundle.dense.size == len(TEXTS) + 2
    assert check_bundle(bundle, chunks_of(after.sentences)["chunk_id"], after.vectors())["recall_at_10"] == 1.0
    assert len(bundle.dense.late.numbers) == 3
    assert_same(bundle, after.built(tmp_path / "whole"))


def test_a_new_text_without_a_vector_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    parent = FIRST.built(tmp_path)
    hashes = {hash_of(sentence) for sentence in {*FIRST.sentences, *SECOND.sentences}}
    extension = Extension(parent, pa.array(sorted(hashes)), SECOND.part(hashes))

    assert extension.unembedded.to_pylist() == [hash_of(SECOND.sentences[0])]
    with pytest.raises(BundleError, match="1 of 2 texts have no vector"):
        extend_bundle(tmp_path, extension, vectors_for([]), sparse_for(SECOND.sentences))
    assert [path.name for path in (tmp_path / "indexes").iterdir()] == [parent.folder.name]


def test_a_damaged_shared_file_is_refused_by_name(tmp_path: Path) -> None:
    bundle = extended(tmp_path, FIRST.built(tmp_path), FIRST, SECOND)
    path = bundle.folder / "segments" / "1" / "dense.faiss"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    with pytest.raises(BundleError, match=r"segments/1/dense\.faiss: the file's checksum"):
        open_bundle(bundle.folder, verify=True)


@pytest.mark.parametrize(
    ("changes", "budget", "touched", "reason"),
    [
        ({}, BUDGET, 1, ""),
        ({"encoder_id": "other"}, BUDGET, 1, "other encoders"),
        ({"sparse_encoder_id": None}, BUDGET, 1, "other encoders"),
        ({"parameters": Parameters(b=0.4)}, BUDGET, 1, "parameters"),
        ({"recipe_ids": ("new",)}, BUDGET, 1, "recipes"),
        ({"late_recipes": ("new",)}, BUDGET, 1, "recipes"),
        ({}, replace(BUDGET, least_texts=len(TEXTS) + 1), 1, "few texts"),
        ({}, replace(BUDGET, most_segments=1), 1, "too many segments"),
        ({}, replace(BUDGET, most_dead=0.1), len(TEXTS) // 10, ""),
        ({}, replace(BUDGET, most_dead=0.1), len(TEXTS) // 10 + 1, "too many texts changed"),
    ],
)
def test_what_makes_a_version_be_written_at_once(
    tmp_path: Path, changes: dict[str, object], budget: Budget, touched: int, reason: str
) -> None:
    parent = FIRST.built(tmp_path).manifest
    wanted = replace(Wanted.of(parent), **changes)  # type: ignore[arg-type]

    found = why_whole(parent, wanted, touched, budget)

    assert reason in found
    assert bool(found) == bool(reason)


def test_an_older_format_and_other_libraries_make_it_be_written_at_once(tmp_path: Path) -> None:
    parent = FIRST.built(tmp_path).manifest
    wanted = Wanted.of(parent)

    assert why_whole(parent.model_copy(update={"format": 1}), wanted, 1, BUDGET)
    assert why_whole(parent.model_copy(update={"libraries": {}}), wanted, 1, BUDGET)
