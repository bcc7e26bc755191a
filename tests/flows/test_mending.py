"""What a message tells people to run mends what it is about."""

from pathlib import Path

import pytest

from flows.nightly import nightly
from models.fake import FakeEncoder
from schemas.corpus import load_corpus
from schemas.errors import BundleError
from serving.search import open_index
from tests.conftest import Night
from tests.small_site import copy_night
from warehouse.pointer import live_pointer
from warehouse.registry import registry_of

pytestmark = pytest.mark.usefixtures("prefect_api")


@pytest.mark.parametrize("name", ["chunks.arrow", "manifest.json"])
def test_the_night_that_a_damaged_index_asks_for_mends_it(night: Night, tmp_path: Path, name: str) -> None:
    corpus = copy_night(night.corpus, tmp_path)
    root = load_corpus(corpus).indexes
    live = live_pointer(root).index_id
    (registry_of(root).folder / live / name).unlink()
    with pytest.raises(BundleError, match="nightjar nightly CORPUS"):
        open_index(root, FakeEncoder, len, verify=True)

    nightly(corpus, "2026-01-02")

    assert open_index(root, FakeEncoder, len, verify=True).index_id == live == live_pointer(root).index_id
