"""A long-lived process follows the pointer, and stays with what works."""

from collections.abc import Callable
from pathlib import Path

import pytest

from models.fake import FAKE_ENCODER_ID, FakeEncoder
from schemas.errors import BundleError
from schemas.vectors import vectors_id
from serving import search
from serving.follow import LiveIndex
from tests.bundles import SENTENCES, built, published, source_of, vectors_for
from warehouse.bundle import Bundle, Source, build_bundle
from warehouse.pointer import live_pointer, roll_back, swap_pointer


def followed(root: Path, open_encoder: Callable[[], FakeEncoder] = FakeEncoder) -> LiveIndex:
    return LiveIndex(root, open_encoder, lambda text: len(text.split()))


def test_a_new_version_answers_after_it_is_published(tmp_path: Path) -> None:
    first = published(tmp_path, SENTENCES[:3]).manifest.index_id
    live = followed(tmp_path)

    assert not live.follow()
    second = published(tmp_path).manifest.index_id
    assert live.current.index_id == first
    assert live.follow()
    assert live.current.index_id == second


def test_a_rollback_is_followed(tmp_path: Path) -> None:
    first = published(tmp_path, SENTENCES[:3]).manifest.index_id
    published(tmp_path)
    live = followed(tmp_path)

    roll_back(tmp_path)

    assert live.follow()
    assert live.current.index_id == first


def test_a_damaged_version_is_refused_and_the_one_before_goes_on(tmp_path: Path) -> None:
    first = published(tmp_path, SENTENCES[:3]).manifest.index_id
    live = followed(tmp_path)
    damaged = published(tmp_path).folder / "chunks.arrow"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + b"x")

    assert not live.follow()
    assert "chunks.arrow: the file's checksum" in live.problem
    assert {hit.index_id for hit in live.current.search("heap")} == {first}

    damaged.write_bytes(content)
    assert live.follow()
    assert live.problem == ""


def test_a_version_of_another_encoder_is_refused(tmp_path: Path) -> None:
    first = published(tmp_path)
    live = followed(tmp_path)
    source = source_of()
    other = build_bundle(
        tmp_path, Source(source.chunks, source.features, "another", source.table_versions), vectors_for(SENTENCES)
    )
    swap_pointer(tmp_path, other.manifest.index_id, expected=first.manifest.index_id)

    assert not live.follow()
    assert "encoder another" in live.problem
    assert live.current.index_id == first.manifest.index_id


def test_a_version_that_encodes_more_of_its_passages_is_followed(tmp_path: Path) -> None:
    first = published(tmp_path)
    live = followed(tmp_path)
    source = source_of()
    composed = Source(source.chunks, source.features, vectors_id(FAKE_ENCODER_ID, "c"), source.table_versions)
    vectors = vectors_for({sentence: f"{sentence} xylophone" for sentence in SENTENCES})
    second = build_bundle(tmp_path, composed, vectors)
    swap_pointer(tmp_path, second.manifest.index_id, expected=first.manifest.index_id)

    assert live.follow()
    assert {hit.index_id for hit in live.current.search("heap")} == {second.manifest.index_id}
    assert second.manifest.index_id != first.manifest.index_id


def test_the_encoder_is_loaded_once_for_all_versions(tmp_path: Path) -> None:
    published(tmp_path, SENTENCES[:3])
    loaded: list[FakeEncoder] = []

    def load() -> FakeEncoder:
        loaded.append(FakeEncoder())
        return loaded[-1]

    live = followed(tmp_path, load)
    live.current.search("heap")
    published(tmp_path)
    live.follow()
    live.current.search("heap")

    assert len(loaded) == 1


def test_a_pointer_to_nothing_is_refused(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    swap_pointer(tmp_path, "0" * 32, expected=None)

    with pytest.raises(BundleError, match="no such index version"):
        followed(tmp_path)

    swap_pointer(tmp_path, bundle.manifest.index_id, expected="0" * 32)
    assert followed(tmp_path).current.index_id == live_pointer(tmp_path).index_id


def test_a_refused_version_is_tried_ever_more_seldom_and_another_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = published(tmp_path, SENTENCES[:3])
    live = followed(tmp_path)
    (published(tmp_path).folder / "chunks.arrow").unlink()
    looks: list[bool] = []
    tried: list[int] = []
    open_version = search.open_version

    def opened(root: Path, index_id: str, *, verify: bool) -> Bundle:
        tried.append(len(looks))
        return open_version(root, index_id, verify=verify)

    monkeypatch.setattr(search, "open_version", opened)
    while len(looks) < 300:
        looks.append(live.follow())
    roll_back(tmp_path)

    assert not any(looks)
    assert tried == [0, 1, 3, 7, 15, 31, 63, 127, 191, 255]
    assert not live.follow()
    assert (live.current.index_id, live.problem) == (first.manifest.index_id, "")
