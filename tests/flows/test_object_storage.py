"""A corpus whose index versions lie in object storage, from the night to a machine that only serves."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows import cli
from flows.asking import answer
from flows.nightly import nightly
from flows.status import status_of
from schemas.corpus import load_corpus
from schemas.errors import BundleError
from tests.buckets import objects, on_machine, store
from tests.conftest import Night
from tests.small_site import copy_night, write_corpus

pytestmark = pytest.mark.usefixtures("prefect_api")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_what_a_night_publishes_is_served_where_no_tables_are(
    night: Night, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = copy_night(night.corpus, tmp_path / "writes")
    more = f'[index]\nstore = "{bucket}"\n'
    Path(corpus).write_text(f"{Path(corpus).read_text()}\n{more}".replace('name = "birds"', 'name = "stored"'))

    nightly(corpus, "2026-01-02")

    (live,) = [version for version in json.loads(run("indexes", corpus, "--json"))["indexes"] if version["live"]]
    index_id = live["index_id"]
    assert live["kept"]
    status = status_of(load_corpus(corpus))
    assert (status["indexes_root"], status["live_index"]["path"]) == (bucket, f"indexes/{index_id}")
    assert {"live.json", f"{index_id}/manifest.json"} < set(objects(bucket))

    serving = tmp_path / "serves.toml"
    serving.write_text(Path(corpus).read_text().replace(f"{tmp_path / 'writes'}/root", f"{tmp_path}/none"))
    on_machine(monkeypatch, tmp_path / "another cache")
    first, *_ = answer(load_corpus(str(serving)), "moths on the wing", k=1, mode="lexical")
    assert (first["url"], first["index_id"]) == ("http://birds.localhost/nightjar.html", index_id)
    assert not (tmp_path / "none").exists()

    lost = next(path for path in objects(bucket) if path.startswith(index_id) and not path.endswith(".json"))
    store(bucket, lost, None)
    on_machine(monkeypatch, tmp_path / "cache")
    nightly(corpus, "2026-01-03")  # what is live is made whole, there too
    assert lost in objects(bucket)


@pytest.mark.usefixtures("bucket", "spark")
def test_a_night_that_could_not_publish_ends_before_it_works(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path)
    with Path(corpus).open("a") as file:
        file.write('[index]\nstore = "s3://no-such-bucket/birds"\n')

    with pytest.raises(BundleError, match=r"NoSuchBucket.*See that the bucket is there"):
        nightly(corpus, "2026-01-01")

    assert not list((tmp_path / "root" / "tables" / "pages").rglob("*.parquet"))
