"""The pointer: swapped in one step, by one of several at once."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from models.fake import FAKE_ENCODER_ID
from schemas.errors import BundleError, UnknownName
from tests.bundles import SENTENCES, built, published
from warehouse.pointer import live_pointer, publish_bundle, read_pointer, roll_back, swap_pointer
from warehouse.registry import POINTER

CHECKOUT = Path(__file__).parents[2]
SWAP = """
import sys
from warehouse.pointer import swap_pointer
from schemas.errors import BundleError
try:
    swap_pointer(sys.argv[1], sys.argv[2], expected=None)
except BundleError:
    sys.exit(3)
"""


def test_nothing_is_published_at_first(root: str) -> None:
    assert read_pointer(root) is None
    with pytest.raises(BundleError, match=r"nothing is published yet.*nightjar nightly"):
        live_pointer(root)


def test_a_swap_is_read_back(root: str) -> None:
    pointer = swap_pointer(root, "one", expected=None)

    assert read_pointer(root) == pointer
    assert (pointer.index_id, pointer.path, pointer.previous) == ("one", "indexes/one", ())


def test_versions_that_were_live_are_remembered_latest_first(root: str) -> None:
    swap_pointer(root, "one", expected=None)
    swap_pointer(root, "two", expected="one")
    swap_pointer(root, "three", expected="two")

    assert swap_pointer(root, "one", expected="three").previous == ("three", "two")


@pytest.mark.parametrize("expected", [None, "zero"])
def test_a_swap_that_expects_another_version_is_refused(root: str, expected: str | None) -> None:
    before = swap_pointer(root, "one", expected=None)

    with pytest.raises(BundleError, match="another run published one"):
        swap_pointer(root, "two", expected=expected)

    assert read_pointer(root) == before


def test_of_several_at_once_one_wins(root: str) -> None:
    names = ["a", "b", "c", "d"]
    racers = [subprocess.Popen([sys.executable, "-c", SWAP, root, name], cwd=CHECKOUT) for name in names]

    codes = [racer.wait() for racer in racers]

    assert sorted(codes) == [0, 3, 3, 3]
    assert live_pointer(root).index_id == names[codes.index(0)]


def test_a_pointer_that_is_not_one_is_refused(tmp_path: Path) -> None:
    swap_pointer(tmp_path, "one", expected=None)
    (tmp_path / "indexes" / POINTER).write_text('{"index_id": 3')

    with pytest.raises(BundleError, match="pointer to the live index is not readable"):
        read_pointer(tmp_path)
    with pytest.raises(BundleError, match="pointer to the live index is not readable"):
        swap_pointer(tmp_path, "two", expected="one")


def test_a_swap_to_what_is_live_changes_nothing(root: str) -> None:
    before = swap_pointer(root, "one", expected=None)

    assert swap_pointer(root, "one", expected="zero") == before


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda file: file.unlink(), "the file is missing"),
        (lambda file: file.write_bytes(b""), "the file has 0 bytes"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"x"), "the file's checksum is not the manifest's"),
    ],
)
def test_a_damaged_version_is_not_published(tmp_path: Path, spoil: Callable[[Path], object], told: str) -> None:
    live = published(tmp_path, SENTENCES[:2]).manifest.index_id
    damaged = built(tmp_path)
    spoil(damaged.folder / "chunks.arrow")

    with pytest.raises(BundleError, match=rf"{damaged.manifest.index_id}/chunks\.arrow: {told}"):
        publish_bundle(tmp_path, damaged.manifest.index_id, FAKE_ENCODER_ID, expected=live)

    assert live_pointer(tmp_path).index_id == live


def test_a_version_of_another_encoder_is_neither_published_nor_gone_back_to(root: str) -> None:
    one, two = (published(root, SENTENCES[:count]).manifest.index_id for count in (2, 3))
    other = built(root).manifest.index_id

    with pytest.raises(BundleError, match=f"{other}: the index was built with encoder {FAKE_ENCODER_ID}, not mine"):
        publish_bundle(root, other, "mine", expected=two)
    with pytest.raises(BundleError, match=f"{one}: the index was built with encoder {FAKE_ENCODER_ID}, not mine"):
        roll_back(root, encoder_id="mine")

    assert live_pointer(root).index_id == two


def test_a_swap_leaves_no_scratch_file(tmp_path: Path) -> None:
    swap_pointer(tmp_path, "one", expected=None)

    assert {path.name for path in (tmp_path / "indexes").iterdir()} == {POINTER, ".live.lock"}


def test_rolling_back_goes_to_the_version_before_and_withdraws_the_live_one(root: str) -> None:
    one, two, three = (published(root, SENTENCES[:count]).manifest.index_id for count in (2, 3, 4))

    assert roll_back(root).index_id == two
    pointer = roll_back(root)

    assert (pointer.index_id, pointer.previous) == (one, ())
    assert set(pointer.withdrawn) == {two, three}
    with pytest.raises(BundleError, match="no version before it"):
        roll_back(root)


def test_rolling_back_to_a_named_version_withdraws_those_after_it(root: str) -> None:
    one, two, three = (published(root, SENTENCES[:count]).manifest.index_id for count in (2, 3, 4))

    assert roll_back(root, one).withdrawn == (three, two)
    with pytest.raises(UnknownName, match="unknown earlier index version"):
        roll_back(root, "never-published")


def test_publishing_a_withdrawn_version_takes_it_back(root: str) -> None:
    one, two = (published(root, SENTENCES[:count]).manifest.index_id for count in (2, 3))
    roll_back(root)

    pointer = swap_pointer(root, two, expected=one)

    assert (pointer.index_id, pointer.previous, pointer.withdrawn) == (two, (one,), ())


def test_rolling_back_to_a_damaged_version_is_refused_and_the_live_one_stays(tmp_path: Path) -> None:
    one = published(tmp_path, SENTENCES[:2])
    two = published(tmp_path, SENTENCES[:3])
    (one.folder / "dense.faiss").unlink()

    with pytest.raises(BundleError, match=r"dense\.faiss: the file is missing"):
        roll_back(tmp_path)

    assert live_pointer(tmp_path).index_id == two.manifest.index_id
