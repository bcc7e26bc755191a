"""Bundles: the same inputs give the same bytes, and a damaged one is refused by name."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from schemas.errors import BundleError
from tests.bundles import SENTENCES, built, chunks_of, features_for, hash_of, source_of, vectors_for
from warehouse.bundle import Source, build_bundle, open_bundle
from warehouse.manifest import FORMAT, MANIFEST, Parameters, differing_files

CHECKOUT = Path(__file__).parents[2]
BUILD = """
import sys
from pathlib import Path
from tests.bundles import SENTENCES, built, features_for
built(Path(sys.argv[1]), [*SENTENCES, SENTENCES[0]], features_for({SENTENCES[0]: "sorted list"}))
"""


CROWDED = """
import resource, signal, sys
import bm25s, faiss, scipy.sparse, Stemmer
from schemas.errors import BundleError
from tests.bundles import SENTENCES, built
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
# Bytes that a file may have: too few for the passages, for the vectors, for the manifest.
for limit in (500, 1500, 2000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    try:
        built(sys.argv[1], SENTENCES)
    except BundleError as error:
        print(error)
"""


def run(program: str, root: Path, **environment: str) -> str:
    """What a program prints in a process of its own."""
    command = [sys.executable, "-c", program, str(root)]
    settings = {**os.environ, **environment}
    return subprocess.run(command, env=settings, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_inputs_give_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        run(BUILD, tmp_path / seed, PYTHONHASHSEED=seed)

    first, second = contents(tmp_path / "1"), contents(tmp_path / "2")

    assert first == second
    assert any(name.endswith(MANIFEST) for name in first)


def test_without_licences_an_index_is_what_it_was_before_they_were_stored() -> None:
    source = source_of()
    licence = source.chunks.column_names.index("licence")
    nulls = pa.nulls(len(source.chunks), pa.string())
    without = replace(source, chunks=source.chunks.set_column(licence, "licence", nulls))
    before = replace(source, chunks=source.chunks.drop_columns(["directives", "licence", "withheld"]))
    assert without.index_id == before.index_id != source.index_id
    assert "licence" not in without.stored_chunks.column_names


def test_the_order_of_the_rows_does_not_count(tmp_path: Path) -> None:
    source = source_of()
    backwards = Source(
        source.chunks.take(list(range(len(SENTENCES)))[::-1]), source.features, source.encoder_id, source.table_versions
    )

    forward = build_bundle(tmp_path / "a", source, vectors_for(SENTENCES))
    backward = build_bundle(tmp_path / "b", backwards, vectors_for(SENTENCES[::-1]))

    assert contents(forward.folder) == contents(backward.folder)


def test_index_id_counts_content_and_parameters_but_not_table_versions() -> None:
    source = source_of()
    described = source_of(features=features_for({SENTENCES[0]: "sorted list"}))

    def varied(**changes: object) -> str:
        fields = ("chunks", "features", "encoder_id", "table_versions")
        return Source(**{**{name: getattr(source, name) for name in fields}, **changes}).index_id  # type: ignore[arg-type]

    assert varied(table_versions={"chunks": 99}) == source.index_id
    others = [
        varied(encoder_id="another"),
        varied(chunks=chunks_of(SENTENCES[:-1])),
        varied(parameters=Parameters(k1=0.9)),
        described.index_id,
    ]
    assert len({source.index_id, *others}) == 1 + len(others)


def test_passages_with_the_same_text_share_a_vector(tmp_path: Path) -> None:
    bundle = built(tmp_path, [*SENTENCES, SENTENCES[0]])

    assert (bundle.manifest.chunks, bundle.manifest.texts) == (7, 6)
    assert (bundle.dense.size, bundle.lexical.size) == (6, 6)


def test_every_vector_stands_at_the_number_of_its_text(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    vectors = vectors_for(SENTENCES)

    numbers = bundle.stored.numbers(vectors["text_hash"])

    assert np.array_equal(bundle.dense.vectors(numbers), np.array(vectors["vector"].to_pylist(), np.float32))


def test_features_of_other_texts_are_left_out(tmp_path: Path) -> None:
    written = features_for({SENTENCES[0]: "sorted list", "A page that is gone.": "gone"})

    bundle = built(tmp_path, features=written)

    assert bundle.manifest.features == 1
    assert bundle.manifest.recipes == {"keywords": ("recipe",)}


def test_a_text_without_a_vector_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="1 of 6 texts have no vector"):
        build_bundle(tmp_path, source_of(), vectors_for(SENTENCES[1:]))

    assert list((tmp_path / "indexes").iterdir()) == []


def test_no_live_chunk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no live chunk"):
        built(tmp_path, [])


def test_vectors_of_several_lengths_are_refused(tmp_path: Path) -> None:
    vectors = pa.table({"text_hash": [hash_of(text) for text in SENTENCES], "vector": [[1.0]] * 5 + [[0.6, 0.8]]})

    with pytest.raises(BundleError, match="lengths"):
        build_bundle(tmp_path, source_of(), vectors)


def test_building_again_opens_what_is_there(tmp_path: Path) -> None:
    first = built(tmp_path)
    before = (first.folder / MANIFEST).stat().st_mtime_ns

    assert (built(tmp_path).folder / MANIFEST).stat().st_mtime_ns == before


def test_building_again_mends_a_damaged_bundle(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    whole = contents(bundle.folder)
    (bundle.folder / "dense.faiss").write_bytes(b"damaged")

    assert contents(built(tmp_path).folder) == whole


@pytest.mark.parametrize("name", ["chunks.arrow", "features.arrow", "dense.faiss", "lexical/values.npy"])
def test_a_missing_or_changed_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = built(tmp_path).folder
    path = folder / name
    content = path.read_bytes()

    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BundleError, match=f"{name}: the file's checksum"):
        open_bundle(folder, verify=True)
    path.write_bytes(content[:-1])
    with pytest.raises(BundleError, match=f"{name}: the file has"):
        open_bundle(folder, verify=False)
    path.unlink()
    with pytest.raises(BundleError, match=f"{name}: the file is missing"):
        open_bundle(folder, verify=False)


def test_a_damaged_manifest_is_refused(tmp_path: Path) -> None:
    folder = built(tmp_path).folder
    manifest = folder / MANIFEST

    manifest.write_text("{}")
    with pytest.raises(BundleError, match="manifest is not readable"):
        open_bundle(folder, verify=False)
    manifest.unlink()
    with pytest.raises(BundleError, match="no manifest"):
        open_bundle(folder, verify=False)


def test_a_newer_format_is_refused_even_with_unknown_keys(tmp_path: Path) -> None:
    folder = built(tmp_path).folder
    content = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**content, "format": FORMAT + 1, "shards": 4}))

    with pytest.raises(BundleError, match=f"format {FORMAT + 1} and this Nightjar reads up to {FORMAT}"):
        open_bundle(folder, verify=False)


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not another-encoder"):
        built(tmp_path).refuse_other_encoder("another-encoder")


def test_a_bundle_in_the_wrong_folder_is_refused(tmp_path: Path) -> None:
    folder = built(tmp_path).folder
    moved = folder.rename(folder.with_name("renamed"))

    with pytest.raises(BundleError, match="holds index version"):
        open_bundle(moved, verify=False)


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path: Path) -> None:
    lines = run(CROWDED, tmp_path).splitlines()

    assert len(lines) == 3
    assert all("the index version cannot be written" in line for line in lines)
    assert list((tmp_path / "indexes").iterdir()) == []


def test_a_version_is_built_again_from_what_its_manifest_names(tmp_path: Path) -> None:
    written = features_for({sentence: sentence.lower() for sentence in SENTENCES})
    manifest = built(tmp_path / "live", features=written).manifest

    source = Source(
        chunks_of(SENTENCES),
        written.filter(pc.is_in(written["recipe_id"], pa.array(manifest.recipes["keywords"]))),
        manifest.encoder_id,
        manifest.table_versions,
        manifest.parameters,
    )
    again = build_bundle(tmp_path / "again", source, vectors_for(SENTENCES)).manifest

    assert again == manifest
    assert differing_files(again, manifest) == []


def test_files_that_differ_are_named(tmp_path: Path) -> None:
    one = built(tmp_path, features=features_for({SENTENCES[0]: "sorted list"})).manifest
    other = built(tmp_path, features=features_for({SENTENCES[0]: "ordered list"})).manifest

    assert differing_files(one, other) == ["features.arrow"]
