"""Index versions in object storage: uploaded once, fetched where they are searched, refused where they are damaged."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from models.fake import FAKE_ENCODER_ID, FakeEncoder
from schemas.errors import BundleError
from serving.follow import LiveIndex
from serving.search import open_index
from tests.buckets import objects, on_machine, store
from tests.bundles import SENTENCES, built, published
from tests.warehouse.test_extension import FIRST, SECOND, assert_same, extended
from warehouse import pointer
from warehouse.bundle import open_version
from warehouse.manifest import MANIFEST
from warehouse.object_storage import ObjectRegistry, object_registry
from warehouse.pointer import live_pointer, publish_bundle, read_pointer, roll_back, swap_pointer
from warehouse.registry import SECONDS_TO_PUBLISH, registry_of
from warehouse.retention import retire_bundles

OTHER = "another machine"


def searched(root: str) -> set[str]:
    index = open_index(root, FakeEncoder, lambda text: len(text.split()))
    return {hit.index_id for hit in index.search("heap", mode="lexical")}


def test_another_machine_fetches_what_is_live_and_answers_from_its_copy(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = published(bucket)
    on_machine(monkeypatch, tmp_path / OTHER)

    there = open_version(bucket, here.manifest.index_id, verify=True)

    assert there.folder.is_relative_to(tmp_path / OTHER)
    assert (there.folder / MANIFEST).read_bytes() == (here.folder / MANIFEST).read_bytes()
    assert searched(bucket) == {here.manifest.index_id}
    assert sorted(path.name for path in there.folder.parent.iterdir()) == [here.manifest.index_id]


def test_what_a_version_shares_with_its_parent_is_neither_sent_nor_fetched(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = ObjectRegistry(bucket, tmp_path / OTHER)
    parent = FIRST.built(bucket)
    parent_there = there.fetch(parent.manifest.index_id)
    kept: list[object] = []
    keep = ObjectRegistry.keep
    monkeypatch.setattr(ObjectRegistry, "keep", lambda registry, index_id: kept.append(keep(registry, index_id)))

    child = extended(bucket, parent, FIRST, SECOND)
    child_there = there.fetch(child.manifest.index_id)

    old, new = parent.manifest.files, child.manifest.files
    shared = {name for name, file in new.items() if old.get(name) == file}
    assert {"chunks.arrow", "dense.faiss"} <= shared < set(new)
    checksums = {file.sha256 for file in old.values()}
    added = {file.sha256: file.bytes for file in new.values() if file.sha256 not in checksums}
    copied = {file.sha256: file.bytes for file in new.values() if file.sha256 in checksums}
    assert kept == [(sum(added.values()), sum(copied.values()))]
    assert all((child_there / name).samefile(parent_there / name) for name in shared)
    on_machine(monkeypatch, tmp_path / OTHER)
    assert_same(open_version(bucket, child.manifest.index_id, verify=True), SECOND.built(tmp_path / "whole"))


def test_what_is_stored_is_not_sent_again(bucket: str) -> None:
    index_id = built(bucket).manifest.index_id

    assert object_registry(bucket).keep(index_id) == (0, 0)


def test_an_upload_that_was_killed_is_no_version_and_is_made_up_for(bucket: str, tmp_path: Path) -> None:
    bundle = built(bucket)
    index_id, manifest = bundle.manifest.index_id, bundle.manifest
    store(bucket, f"{index_id}/{MANIFEST}", None)
    store(bucket, f"{index_id}/{manifest.files['chunks.arrow'].sha256}", None)

    assert not registry_of(bucket).versions()[index_id].whole
    with pytest.raises(BundleError, match=f"{index_id}: there is no such index version"):
        ObjectRegistry(bucket, tmp_path / OTHER).fetch(index_id)

    publish_bundle(bucket, index_id, FAKE_ENCODER_ID, expected=None)
    assert ObjectRegistry(bucket, tmp_path / OTHER).fetch(index_id).is_dir()


def test_a_build_takes_what_another_machine_has_built(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = built(bucket)
    on_machine(monkeypatch, tmp_path / OTHER)
    before = objects(bucket)

    second = built(bucket)

    assert second.folder != first.folder
    assert objects(bucket) == before


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda _: None, r"chunks.arrow is missing"),
        (lambda content: content + b"x", r"chunks.arrow has \d+ bytes, not \d+"),
        (lambda content: content[:-1] + b"x", "its checksum is not the manifest's"),
    ],
)
def test_a_damaged_version_is_refused_by_name_and_the_one_before_serves_on(
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[bytes], bytes | None],
    told: str,
) -> None:
    here = tmp_path / "cache"
    first = published(bucket, SENTENCES[:3]).manifest.index_id
    on_machine(monkeypatch, tmp_path / OTHER)
    live = LiveIndex(bucket, FakeEncoder, lambda text: len(text.split()))
    on_machine(monkeypatch, here)
    second = published(bucket).manifest
    path = f"{second.index_id}/{second.files['chunks.arrow'].sha256}"
    store(bucket, path, damage(objects(bucket)[path]))
    on_machine(monkeypatch, tmp_path / OTHER)

    assert not live.follow()
    assert path in live.problem
    with pytest.raises(BundleError, match=rf"{path}: {told}.*nightjar rollback CORPUS"):
        open_version(bucket, second.index_id, verify=True)
    assert live.current.index_id == first
    assert sorted(path.name for path in registry_of(bucket).folder.iterdir()) == [first]

    store(bucket, path, None)
    ObjectRegistry(bucket, here).keep(second.index_id)  # as nightjar publish does where it was built
    assert live.follow()
    assert (live.current.index_id, live.problem) == (second.index_id, "")


def test_a_damaged_copy_is_fetched_again(bucket: str) -> None:
    bundle = published(bucket)
    (bundle.folder / "chunks.arrow").write_bytes(b"nothing")

    assert searched(bucket) == {bundle.manifest.index_id}
    open_version(bucket, bundle.manifest.index_id, verify=True)


def test_a_copy_with_a_damaged_manifest_is_in_nobodys_way(bucket: str, tmp_path: Path) -> None:
    there = ObjectRegistry(bucket, tmp_path / OTHER)
    one, two = (published(bucket, SENTENCES[:count]).manifest.index_id for count in (2, 3))
    (there.fetch(one) / MANIFEST).write_bytes(b"{")

    assert there.fetch(two).is_dir()


def test_copies_of_versions_that_were_deleted_go_too(bucket: str, tmp_path: Path) -> None:
    there = ObjectRegistry(bucket, tmp_path / OTHER)
    first, second, third = (published(bucket, SENTENCES[:count]).manifest.index_id for count in (2, 3, 4))
    for index_id in (first, second):
        long_ago = time.time() - SECONDS_TO_PUBLISH - 60
        os.utime(there.fetch(index_id), (long_ago, long_ago))
    retire_bundles(bucket, keep=2)

    there.fetch(third)

    assert {path.name for path in there.folder.iterdir()} == {second, third}


def test_of_two_changes_at_once_the_later_is_refused(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = (published(bucket, SENTENCES[:count]).manifest.index_id for count in (2, 3, 4))
    fetched = pointer.open_version

    def slowly(root: str, index_id: str, *, verify: bool) -> object:
        monkeypatch.setattr(pointer, "open_version", fetched)
        roll_back(root)  # what another machine does meanwhile
        return fetched(root, index_id, verify=verify)

    monkeypatch.setattr(pointer, "open_version", slowly)
    with pytest.raises(BundleError, match=f"another run published {two} while this one expected {three} to be live"):
        roll_back(bucket, one)

    assert live_pointer(bucket).index_id == two


def test_a_change_whose_answer_was_lost_is_not_taken_for_that_of_somebody_else(bucket: str) -> None:
    with object_registry(bucket).changing_pointer() as (content, put):
        assert content is None
        put(b"mine")
        put(b"mine")  # as the client does by itself when no answer came

    assert object_registry(bucket).pointer() == b"mine"


def test_a_pointer_that_is_not_one_is_refused(bucket: str) -> None:
    swap_pointer(bucket, "one", expected=None)
    store(bucket, "live.json", b'{"index_id": "../../elsewhere", "path": "", "published_at": ""}')

    with pytest.raises(BundleError, match=r"indexes/live\.json: the pointer to the live index is not readable"):
        read_pointer(bucket)


def test_a_manifest_names_no_place_outside_its_version(bucket: str, tmp_path: Path) -> None:
    index_id = built(bucket).manifest.index_id
    manifest = json.loads(objects(bucket)[f"{index_id}/{MANIFEST}"])
    manifest["files"]["../../elsewhere"] = manifest["files"].pop("chunks.arrow")
    store(bucket, f"{index_id}/{MANIFEST}", json.dumps(manifest).encode())

    with pytest.raises(BundleError, match="manifest is not readable"):
        ObjectRegistry(bucket, tmp_path / OTHER).fetch(index_id)


def test_a_full_disk_leaves_no_copy(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = published(bucket)
    shutil.rmtree(bundle.folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("warehouse.durable.put_folder", full)
    with pytest.raises(BundleError, match=r"cannot be copied: No space left on device.*NIGHTJAR_CACHE"):
        searched(bucket)
    assert not list(bundle.folder.parent.iterdir())


@pytest.mark.parametrize(
    ("root", "told"),
    [
        ("s3://no-such-bucket/birds", "refused or did not answer: .*NoSuchBucket"),
        ("hdfs://namenode/birds", "in a folder or in object storage.*store.*under .index."),
        ("s3://", "Unable to recognise URL"),
    ],
)
@pytest.mark.usefixtures("object_storage")
def test_a_place_that_is_none_is_one_clear_line(root: str, told: str) -> None:
    with pytest.raises(BundleError, match=told) as caught:
        read_pointer(root)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("object_storage")
def test_a_store_that_does_not_answer_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    registry = ObjectRegistry("s3://elsewhere/birds", tmp_path)

    with pytest.raises(BundleError, match=r"s3://elsewhere/birds/indexes: .*did not answer.*AWS_ENDPOINT_URL"):
        registry.pointer()


@pytest.mark.usefixtures("object_storage")
def test_without_tls_only_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")

    with pytest.raises(BundleError, match="AWS_ALLOW_HTTP=true for one without TLS"):
        ObjectRegistry("s3://elsewhere/birds", tmp_path).pointer()
