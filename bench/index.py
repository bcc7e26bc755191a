"""The parts of an index bundle beside FAISS, bm25s, SciPy and Seismic called directly, on the same data.

    python -m bench.index [--texts N] [--queries N] [--rounds N] [--json]

Seismic is in the dependency group `bench`; where it is not installed it is left out, and that is said.

Times are seconds, of queries seconds for a thousand: single ones one call each, batched ones all in one call. Every
round runs each way once, in turn; the best of the rounds counts. Sizes are megabytes on disk. Texts, vectors and
sparse vectors are drawn with a seed: words by Zipf's law, vectors around topics.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer
from numpy.typing import NDArray

from bench.report import Measured, print_measured
from models.encoder import SparseVector
from warehouse.dense import DENSE_FILE, DenseIndex, write_dense
from warehouse.lexical import LexicalIndex, write_lexical
from warehouse.manifest import Parameters
from warehouse.segments import Texts
from warehouse.session import output_in
from warehouse.sparse import SparseIndex, write_sparse

DIMENSION, TOPICS = 384, 200
VOCABULARY, WORDS_A_TEXT, WORDS_A_QUERY = 60_000, 80, 5
SPARSE_VOCABULARY, TERMS_A_TEXT, TERMS_A_QUERY = 30_000, 100, 20
K = 10
FEW = 100  # queries asked one by one, and of SciPy in one product
MEGABYTE = 1 << 20
# At least 0.9 of the reference's queries a second.
GOAL = 1 / 0.9
# Seismic's search looks at so many terms of a query, and at blocks that promise so large a share of the tenth score.
SEISMIC_TERMS, SEISMIC_SHARE = 10, 0.9
Way = Callable[[], object]


@dataclass(frozen=True)
class Drawn:
    """What is indexed and asked, as the reference and ours both get it."""

    texts: list[str]
    queries: list[str]
    vectors: NDArray[np.float32]
    query_vectors: NDArray[np.float32]
    sparse: pa.Table
    query_sparse: list[SparseVector]


def draw(texts: int, queries: int) -> Drawn:
    """Everything, with one seed."""
    random = np.random.default_rng(20261123)
    words = np.array([f"w{number:x}" for number in range(VOCABULARY)])
    topics = random.standard_normal((TOPICS, DIMENSION), dtype=np.float32)
    return Drawn(
        sentences(random, words, texts, WORDS_A_TEXT),
        sentences(random, words, queries, WORDS_A_QUERY),
        around(random, topics, texts),
        around(random, topics, queries),
        sparse_rows(random, texts),
        [sparse_vector(random, TERMS_A_QUERY) for _ in range(queries)],
    )


def sentences(random: np.random.Generator, words: NDArray[Any], count: int, length: int) -> list[str]:
    """Texts of words whose frequency falls with their number."""
    drawn = zipf(random, len(words), count * length).reshape(count, length)
    return [" ".join(row) for row in words[drawn]]


def zipf(random: np.random.Generator, values: int, count: int) -> NDArray[np.int64]:
    """Numbers below `values`, each as likely as one over one more than itself."""
    shares = np.cumsum(1 / np.arange(1, values + 1))
    return np.searchsorted(shares, random.random(count) * shares[-1]).astype(np.int64)


def around(random: np.random.Generator, topics: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Unit vectors near one of the topics each."""
    vectors = topics[random.integers(0, len(topics), count)] * 0.7
    vectors += random.standard_normal(vectors.shape, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def sparse_vector(random: np.random.Generator, terms: int) -> SparseVector:
    """Distinct terms by Zipf's law, each with a weight."""
    drawn = np.unique(zipf(random, SPARSE_VOCABULARY, terms)).astype(np.int32)
    return SparseVector(drawn, random.uniform(0.05, 2.5, len(drawn)).astype(np.float32))


def sparse_rows(random: np.random.Generator, texts: int) -> pa.Table:
    """Rows of `sparse_embeddings`."""
    vectors = [sparse_vector(random, TERMS_A_TEXT) for _ in range(texts)]
    columns = {
        "text_hash": names(texts),
        "terms": pa.array([vector.terms for vector in vectors], pa.list_(pa.int32())),
        "weights": pa.array([vector.weights for vector in vectors], pa.list_(pa.float32())),
    }
    return pa.table(columns)


def names(texts: int) -> pa.StringArray:
    """Text hashes, in order."""
    return pa.array([f"{number:032x}" for number in range(texts)], pa.string())


def best_of(rounds: int, ways: Sequence[Way]) -> list[float]:
    """Seconds of each way, run in turn."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for seconds, way in zip(taken, ways, strict=True):
            begun = time.perf_counter()
            way()
            seconds.append(time.perf_counter() - begun)
    return [min(seconds) for seconds in taken]


def compared(measure: str, rounds: int, ours: Way, reference: Way, name: str, per: int = 1) -> Measured:
    """Seconds of ours beside the reference's."""
    seconds = best_of(rounds, [ours, reference])
    return Measured(measure, seconds[0] / per, seconds[1] / per, name, GOAL)


def each(search: Callable[[Any], object], queries: Sequence[Any]) -> Way:
    """One call a query."""
    return lambda: [search(query) for query in queries]


def megabytes(path: Path) -> float:
    """Size of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / MEGABYTE


def lexical(drawn: Drawn, scratch: Path, rounds: int) -> Iterator[Measured]:
    """BM25 beside bm25s with its numba backend, memory-mapped."""
    import bm25s
    import Stemmer

    stemmer, folder, saved = Stemmer.Stemmer("english"), scratch / "lexical", scratch / "bm25s"

    def tokens(texts: Sequence[str]) -> object:
        return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)

    def reference() -> None:
        built = bm25s.BM25(method="lucene", backend="numba")
        built.index(tokens(drawn.texts), show_progress=False)
        built.save(saved, show_progress=False)

    yield compared(
        "lexical: build, s", rounds, lambda: write_lexical(folder, drawn.texts, Parameters()), reference, "bm25s"
    )
    yield Measured("lexical: size, MB", megabytes(folder), megabytes(saved), "bm25s", GOAL)
    ours, other = LexicalIndex(folder, Parameters()), bm25s.BM25.load(saved, mmap=True, show_progress=False)
    other.backend = "numba"

    def retrieve(queries: Sequence[str], threads: int) -> object:
        asked = bm25s.tokenize(queries, stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False)
        return other.retrieve(asked, k=K, n_threads=threads, show_progress=False)

    queries, thousands = drawn.queries, len(drawn.queries) / 1000
    ours.search_many(queries[:100], K), retrieve(queries[:100], 0), retrieve(queries[:100], -1)  # compiled by then
    single = each(lambda query: ours.search(query, K), queries)
    yield compared(
        "lexical: single", rounds, single, each(lambda query: retrieve([query], 0), queries), "bm25s", thousands
    )
    yield compared(
        "lexical: batched",
        rounds,
        lambda: ours.search_many(queries, K),
        lambda: retrieve(queries, -1),
        "bm25s",
        thousands,
    )


def dense(drawn: Drawn, scratch: Path, rounds: int) -> Iterator[Measured]:
    """Exact inner products beside FAISS' flat index in memory."""
    import faiss

    path, plain = scratch / DENSE_FILE, scratch / "plain.faiss"
    reference = faiss.IndexFlatIP(DIMENSION)
    reference.add(drawn.vectors)

    def direct() -> None:
        built = faiss.IndexFlatIP(DIMENSION)
        built.add(drawn.vectors)
        faiss.write_index(built, str(plain))

    yield compared("dense: build, s", rounds, lambda: write_dense(path, drawn.vectors), direct, "FAISS flat")
    yield Measured("dense: size, MB", megabytes(path), megabytes(plain), "FAISS flat", GOAL)
    ours, queries, thousands = DenseIndex(path), drawn.query_vectors, len(drawn.queries) / 1000
    exact, found = reference.search(queries, K)[1], ours.search(queries, K).numbers
    yield Measured("dense: recall@10", shared(found, exact), 1.0, "FAISS flat")
    single = [queries[row : row + 1] for row in range(min(len(queries), 200))]
    yield compared(
        "dense: single",
        rounds,
        each(lambda query: ours.search(query, K), single),
        each(lambda query: reference.search(query, K), single),
        "FAISS flat",
        len(single) / 1000,
    )
    yield compared(
        "dense: batched",
        rounds,
        lambda: ours.search(queries, K),
        lambda: reference.search(queries, K),
        "FAISS flat",
        thousands,
    )


def shared(found: Iterable[NDArray[np.int64]], exact: Iterable[NDArray[np.int64]]) -> float:
    """Share of the exact nearest that were found."""
    return float(
        np.mean([len(set(ours) & set(wanted)) / len(wanted) for ours, wanted in zip(found, exact, strict=True)])
    )


def sparse(drawn: Drawn, scratch: Path, rounds: int) -> Iterator[Measured]:
    """Inner products of sparse vectors beside SciPy's product of matrices, of which one is stored by columns."""
    from scipy.sparse import csr_matrix, load_npz, save_npz

    folder, saved, count = scratch / "sparse", scratch / "matrix.npz", len(drawn.texts)
    terms, weights = (drawn.sparse[name].combine_chunks() for name in ("terms", "weights"))
    starts = terms.offsets.to_numpy()

    def direct() -> None:
        matrix = csr_matrix((weights.values.to_numpy(), terms.values.to_numpy(), starts), (count, SPARSE_VOCABULARY))
        save_npz(saved, matrix.tocsc(), compressed=False)

    yield compared(
        "sparse: build, s", rounds, lambda: write_sparse(folder, names(count), drawn.sparse), direct, "SciPy CSC"
    )
    yield Measured("sparse: size, MB", megabytes(folder), megabytes(saved), "SciPy CSC", GOAL)
    ours, inverted, queries = SparseIndex(folder, Texts.whole(count)), load_npz(saved).T, drawn.query_sparse
    asked = csr_matrix(
        (
            np.concatenate([query.weights for query in queries]),
            np.concatenate([query.terms for query in queries]),
            np.cumsum([0, *(len(query.terms) for query in queries)]),
        ),
        (len(queries), SPARSE_VOCABULARY),
    )

    def nearest(first: int, last: int) -> list[NDArray[np.int64]]:
        scores = (asked[first:last] @ inverted).toarray()
        return [np.argpartition(-row, K)[:K] for row in scores]

    found = [each.numbers[0] for each in ours.search_many(queries[:FEW], K)]
    yield Measured("sparse: recall@10", shared(found, nearest(0, len(found))), 1.0, "SciPy CSC")
    batched = each(lambda first: nearest(first, first + FEW), range(0, len(queries), FEW))
    yield from sparse_searches(ours, queries, rounds, lambda row: nearest(row, row + 1), batched, "SciPy CSC")


def sparse_searches(
    ours: SparseIndex,
    queries: Sequence[SparseVector],
    rounds: int,
    nearest: Callable[[int], object],
    batched: Way,
    name: str,
) -> Iterator[Measured]:
    """Queries asked of ours and of a reference, a few of them singly and then all at once.

    Args:
        nearest: asks the reference one query, by its place.
        batched: asks the reference all of them.
    """
    few = range(min(len(queries), FEW))
    singly = each(lambda row: ours.search(queries[row], K), few)
    yield compared("sparse: single", rounds, singly, each(nearest, few), name, len(few) / 1000)
    yield compared("sparse: batched", rounds, lambda: ours.search_many(queries, K), batched, name, len(queries) / 1000)


def seismic(drawn: Drawn, scratch: Path, rounds: int) -> Iterator[Measured]:
    """Inner products of sparse vectors beside Seismic, which finds approximate neighbours in an index in memory."""
    try:
        from seismic import SeismicDataset, SeismicIndex, get_seismic_string
    except ImportError:
        typer.echo("Seismic is left out: it is in the dependency group bench, and not installed", err=True)
        return
    folder, saved, kind = scratch / "beside-seismic", scratch / "saved", get_seismic_string()
    terms, weights = (drawn.sparse[name].combine_chunks() for name in ("terms", "weights"))

    def direct() -> None:
        dataset, spelled, weighed = SeismicDataset(), terms.values.to_numpy().astype(kind), weights.values.to_numpy()
        for number, (start, end) in enumerate(pairwise(terms.offsets.to_numpy())):
            dataset.add_document(str(number), spelled[start:end], weighed[start:end])
        with output_in(scratch / "seismic.log"):
            SeismicIndex.build_from_dataset(dataset).save(str(saved))

    count, queries = len(drawn.texts), drawn.query_sparse
    yield compared("sparse: build, s", 1, lambda: write_sparse(folder, names(count), drawn.sparse), direct, "Seismic")
    stored = saved.with_name("saved.index.seismic")
    yield Measured("sparse: size, MB", megabytes(folder), megabytes(stored), "Seismic", GOAL)
    ours, theirs = SparseIndex(folder, Texts.whole(count)), SeismicIndex.load(str(stored))
    asked = [(query.terms.astype(kind), query.weights) for query in queries]

    def nearest(row: int) -> list[tuple[str, float, str]]:
        found: list[tuple[str, float, str]] = theirs.search("", *asked[row], K, SEISMIC_TERMS, SEISMIC_SHARE)
        return found

    exact = [each.numbers[0] for each in ours.search_many(queries[:FEW], K)]
    found = [np.array([int(number) for _, _, number in nearest(row)]) for row in range(len(exact))]
    yield Measured("sparse: recall@10", 1.0, shared(found, exact), "Seismic")
    names_of, spelled, weighed = np.full(len(queries), "", kind), [row[0] for row in asked], [row[1] for row in asked]

    def batched() -> object:
        return theirs.batch_search(names_of, spelled, weighed, K, SEISMIC_TERMS, SEISMIC_SHARE)

    yield from sparse_searches(ours, queries, rounds, nearest, batched, "Seismic")


def main(
    texts: Annotated[int, typer.Option(min=K + 1, help="Texts in the index.")] = 100_000,
    queries: Annotated[int, typer.Option(min=1, help="Queries asked.")] = 1_000,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each way is run.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Run every comparison and print ours, the reference's, and their ratio."""
    drawn = draw(texts, queries)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        measured = chain(*(part(drawn, scratch, rounds) for part in (lexical, dense, sparse, seismic)))
        print_measured(measured, as_json)


if __name__ == "__main__":
    typer.run(main)
