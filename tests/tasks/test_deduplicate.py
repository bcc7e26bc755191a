"""Signatures estimate what they claim to, and verdicts are stable, unchained and blind to order."""

import random
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st

from schemas.corpus import DeduplicateSettings
from tasks.deduplicate import (
    KEPT,
    SLOTS,
    SOURCE,
    buckets_of,
    judge,
    minhash_of,
    resemblance,
    rows_per_band,
    shingles,
    sign_documents,
    signer_id,
)

SETTINGS = DeduplicateSettings()
NOTHING = KEPT.empty_table()
WORDS = [f"word{number}" for number in range(2000)]


def text_of(seed: int, words: int = 600) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def edited(text: str, replaced: int) -> str:
    """The text with so many words, evenly spread, replaced by others."""
    words = text.split(" ")
    for number in range(replaced):
        words[(2 * number + 1) * len(words) // (2 * replaced)] = f"other{number}"
    return " ".join(words)


def documents(
    texts: dict[str, str], kept: tuple[str, ...] = (), pointed: dict[str, str] | None = None, title: str = "A title"
) -> pa.Table:
    """Documents by a short name, which is their doc_id and the end of their URL."""
    rows = [
        {
            "doc_id": name,
            "url": f"http://example.org/{name}",
            "title": title,
            "text": text,
            "body_hash": name,
            "extractor_id": "e",
            "ds": date(2026, 1, 1),
            "live": True,
            "was_kept": name in kept,
            "was_duplicate_of": (pointed or {}).get(name),
        }
        for name, text in texts.items()
    ]
    return pa.Table.from_pylist(rows, schema=SOURCE)


def judged(sources: pa.Table, kept: pa.Table = NOTHING, settings: DeduplicateSettings = SETTINGS) -> pa.Table:
    return judge(sign_documents(sources, settings).rows, kept, settings.similarity)


def copies(rows: pa.Table) -> dict[str, Any]:
    return {row["doc_id"]: row["duplicate_of"] for row in rows.to_pylist()}


def jaccard(one: str, other: str) -> float:
    first, second = set(shingles(one)), set(shingles(other))
    return len(first & second) / len(first | second)


def datasketch_of(text: str) -> MinHash:
    sketch = MinHash(num_perm=SLOTS, seed=1)
    sketch.update_batch([shingle.encode() for shingle in shingles(text)])
    return sketch


def test_shingles_are_runs_of_five_words() -> None:
    assert shingles("a b  c\nd e f") == ["a b c d e", "b c d e f"]
    assert shingles("a b c d") == []


def test_estimates_are_as_close_to_exact_similarity_as_datasketch_s() -> None:
    """Over 60 pairs each mean error stays within four standard errors of 0, and each estimate within five of exact."""
    errors: dict[str, list[float]] = {"rensa": [], "datasketch": []}
    for seed in range(60):
        text = text_of(seed)
        other = edited(text, 1 + seed)
        exact = jaccard(text, other)
        ours, theirs = ({"text_hash": each, "minhash": minhash_of(each, 0.5)} for each in (text, other))
        estimates = {
            "rensa": resemblance(ours, theirs),
            "datasketch": datasketch_of(text).jaccard(datasketch_of(other)),
        }
        for name, estimate in estimates.items():
            errors[name].append((estimate - exact) / (exact * (1 - exact) / SLOTS) ** 0.5)
    for found in errors.values():
        assert max(abs(error) for error in found) < 5
        assert abs(sum(found) / len(found)) < 4 / len(found) ** 0.5


def test_a_signature_is_the_same_on_every_machine() -> None:
    """A stored signature that a new build would not make again must change `signer_id`, and so this test."""
    minhash = minhash_of(text_of(0), 0.95)
    assert minhash is not None
    assert (len(minhash), minhash[:8].hex()) == (4 * SLOTS, "053b9f1574fab126")
    assert signer_id(SETTINGS) != signer_id(DeduplicateSettings(similarity=0.9))
    assert signer_id(SETTINGS) == signer_id(DeduplicateSettings(enabled=False))


# (1 - .95^16)^16 = .0001, (1 - .95^32)^8 = .18; (1 - .8^8)^32 = .003, (1 - .8^16)^16 = .63; (1 - .5^4)^64 = .016.
@pytest.mark.parametrize(("similarity", "rows"), [(0.95, 16), (0.8, 8), (0.5, 4), (1, 256)])
def test_bands_miss_few_pairs(similarity: float, rows: int) -> None:
    assert rows_per_band(similarity) == rows


def test_pairs_above_the_threshold_share_a_bucket() -> None:
    shared = 0
    for seed in range(100):
        text = text_of(seed)
        first, second = (buckets_of(each, minhash_of(each, 0.95), 0.95) for each in (text, edited(text, 3)))
        shared += bool(set(first) & set(second))
    assert jaccard(text_of(0), edited(text_of(0), 3)) == pytest.approx((596 - 15) / (596 + 15))
    assert shared == 100


def test_exact_and_near_duplicates_point_to_the_kept_copy() -> None:
    text = text_of(1)
    rows = judged(documents({"b": text, "a": text, "c": edited(text, 1), "d": edited(text, 60), "e": text_of(2)}))
    assert copies(rows) == {"a": None, "b": "a", "c": "a", "d": None, "e": None}
    by_name = {row["doc_id"]: row for row in rows.to_pylist()}
    assert by_name["b"]["similarity"] == 1
    assert by_name["c"]["similarity"] == pytest.approx((596 - 5) / (596 + 5), abs=0.03)
    assert by_name["c"]["kept_text_hash"] == by_name["a"]["text_hash"]


def test_only_exact_duplicates_are_found_at_one() -> None:
    text = text_of(1)
    sources = documents({"a": text, "b": f"{text}\n", "c": edited(text, 1)})
    assert copies(judged(sources, settings=DeduplicateSettings(similarity=1))) == {"a": None, "b": "a", "c": None}


def test_short_pages_of_one_template_are_not_merged() -> None:
    """Of 190 shingles one other word leaves 185 / 195 = 0.949 in common: less than any estimate may decide."""
    template = text_of(3, words=193)
    texts = {"a": template + " north", "b": template + " south", "c": template + "  north"}
    assert copies(judged(documents(texts))) == {"a": None, "b": None, "c": "a"}


def test_pages_under_two_titles_are_two_pages_until_they_are_long() -> None:
    rows = [
        *documents({"a": "Not translated."}).to_pylist(),
        *documents({"b": "Not translated."}, title="B").to_pylist(),
    ]
    assert copies(judged(pa.Table.from_pylist(rows, schema=SOURCE))) == {"a": None, "b": None}
    untitled = [row | {"title": row["url"]} for row in rows]
    assert copies(judged(pa.Table.from_pylist(untitled, schema=SOURCE))) == {"a": None, "b": "a"}


def test_a_stored_kept_copy_stays_before_a_shorter_url() -> None:
    text = text_of(1)
    kept = judged(documents({"long": text})).select(KEPT.names)
    assert copies(judged(documents({"s": text}), kept)) == {"s": "long"}
    assert copies(judged(documents({"s": text, "long": text}, kept=("long",)))) == {"s": "long", "long": None}


def test_a_duplicate_stays_with_its_copy_while_that_is_near_enough() -> None:
    text = text_of(1, words=2000)
    kept = pa.concat_tables(
        [judged(documents({name: edited(text, count)})).select(KEPT.names) for name, count in (("a", 1), ("b", 4))]
    )
    assert copies(judged(documents({"d": text}), kept)) == {"d": "a"}
    assert copies(judged(documents({"d": text}, pointed={"d": "b"}), kept)) == {"d": "b"}


TEXTS = [text_of(1), edited(text_of(1), 1), edited(text_of(1), 2), edited(text_of(1), 4), text_of(2), "short", "short "]
corpora = st.dictionaries(st.text("abcd", min_size=1, max_size=3), st.sampled_from(TEXTS), min_size=1, max_size=8)


@given(corpora, st.randoms(use_true_random=False))
def test_verdicts_hold_whatever_the_order(texts: dict[str, str], shuffler: random.Random) -> None:
    names = list(texts)
    shuffler.shuffle(names)
    kept = tuple(name for name in names if shuffler.random() < 0.3)
    rows = judged(documents(texts, kept))
    found = copies(rows)
    assert copies(judged(documents({name: texts[name] for name in names}, kept))) == found
    assert {found[copy] for copy in found.values() if copy} <= {None}
    for row in rows.to_pylist():
        assert (row["similarity"] is None) == (row["duplicate_of"] is None)
        assert row["similarity"] is None or row["similarity"] >= SETTINGS.similarity


@given(corpora, st.integers(0, 8))
def test_batches_in_order_give_what_one_gives(texts: dict[str, str], cut: int) -> None:
    names = sorted(texts, key=lambda name: (len(name), name))
    first = judged(documents({name: texts[name] for name in names[:cut]}))
    kept = pa.Table.from_pylist([row for row in first.to_pylist() if not row["duplicate_of"]], schema=first.schema)
    second = judged(documents({name: texts[name] for name in names[cut:]}), kept.select(KEPT.names))
    assert copies(first) | copies(second) == copies(judged(documents(texts)))


@given(corpora)
def test_judging_again_changes_nothing(texts: dict[str, str]) -> None:
    found = copies(judged(documents(texts)))
    kept = tuple(name for name, copy in found.items() if copy is None)
    pointed = {name: copy for name, copy in found.items() if copy}
    assert copies(judged(documents(texts, kept, pointed))) == found
