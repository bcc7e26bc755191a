"""The HTTP service: search, health, metrics and a plain search page over the live index of a corpus."""

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import BundleError, NightjarError
from serving.follow import LiveIndex
from serving.fusion import Fusion
from serving.highlights import marked, matching_spans, web_address
from serving.search import Hit, Index
from warehouse.lexical import Analyser

LONGEST_QUERY = 1000
LONGEST_FEATURE = 200
MOST_RESULTS = 100
# A filter looks at this many of the best results and no deeper, so that no request reads the whole index.
MOST_EXAMINED = 1000
LONGEST_BODY = 16_384
SECONDS_BETWEEN_LOOKS = 1.0
FILTERS = ("kind", "licence", "doc_id")
TEMPLATES = Path(__file__).parent / "templates"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Asked(BaseModel):
    """A search request; the same names are JSON keys of POST and parameters of GET."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: str = Field(min_length=1, max_length=LONGEST_QUERY, description="what to look for")
    k: int = Field(10, ge=1, le=MOST_RESULTS, description="how many results")
    mode: Literal["dense", "lexical", "sparse", "hybrid"] = "hybrid"
    parts: tuple[Literal["dense", "lexical", "sparse"], ...] = Field(
        ("dense", "lexical"), max_length=3, description="what a hybrid search fuses, two or three of them"
    )
    fusion: Literal["rrf", "min-max"] = Field(
        "rrf", description="how it fuses: reciprocal ranks, or weighted sums of scaled scores"
    )
    weights: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] = Field(
        (), max_length=3, description="weights of the parts, in their order, for min-max; equal ones when left out"
    )
    prf: str = Field(
        "", max_length=LONGEST_FEATURE, description="stored feature of the first results for a second pass"
    )
    depth: int = Field(3, ge=0, le=20, description="first results whose feature the second pass takes")
    positional: bool = Field(True, description="the second pass tells the rank of each")
    url_prefix: str = Field("", max_length=2000, description="only passages of pages whose URL begins so")
    kind: str = Field("", max_length=100, description="only passages of this kind")
    licence: str = Field("", max_length=500, description="only passages of pages with this licence")
    doc_id: str = Field("", max_length=100, description="only passages of this document")
    since: date | None = Field(None, description="only passages of pages whose logical date is this or later")
    until: date | None = Field(None, description="only passages of pages whose logical date is this or before")

    def passes(self, hit: Hit) -> bool:
        """Whether a hit is what the filters ask for. A hit without a date is of no range of dates."""
        named = all(getattr(hit, name) == wanted for name in FILTERS if (wanted := getattr(self, name)))
        first, last = str(self.since or date.min), str(self.until or date.max)
        in_range = first <= hit.ds <= last if hit.ds else not (self.since or self.until)
        return named and in_range and hit.url.startswith(self.url_prefix)

    @property
    def filters(self) -> bool:
        """Whether any filter is set."""
        return any(getattr(self, name) for name in (*FILTERS, "url_prefix", "since", "until"))


class Searcher:
    """Answers one request at a time from one version: stemmer and encoder are not made for several threads.

    Args:
        live: where the version that answers is taken from, once for each request.
    """

    def __init__(self, live: LiveIndex) -> None:
        self.live = live
        self._one = threading.Lock()
        self._analyser = cache(Analyser)

    def answer(self, asked: Asked, index: Index | None = None) -> dict[str, Any]:
        """Hits with highlights, features and lineage, and the version that all of it is from.

        Args:
            index: version that answers; the live one when left out.

        Raises:
            UnknownName: no such feature in the index.
            NightjarError: PromptPRF asked of a search without a dense part, or parts and weights that do not fit.
            BundleError: the encoder is not the index's.
        """
        with self._one:
            index = index or self.live.current
            hits, examined = _filtered(index, asked)
            analyser = self._analyser(index.bundle.manifest.parameters.stemmer)
            terms = frozenset(analyser.terms(asked.query))
            return {
                "index_id": index.index_id,
                "examined": examined,
                "recipes": index.bundle.manifest.recipes,
                "hits": [_shown(index, hit, terms, analyser) for hit in hits],
            }


def create_app(live: LiveIndex, seconds_between_looks: float = SECONDS_BETWEEN_LOOKS, name: str = "") -> FastAPI:
    """The service over a live index; while it runs, it looks at the pointer and takes up what is published.

    Args:
        name: of the corpus, for the page.
    """
    searcher = Searcher(live)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stopped = threading.Event()
        follower = threading.Thread(target=_follow, args=(live, stopped, seconds_between_looks), daemon=True)
        follower.start()
        yield
        stopped.set()

    # The interactive pages of FastAPI load scripts from elsewhere.
    app = FastAPI(title="Nightjar", docs_url=None, redoc_url=None, lifespan=lifespan)
    _add_errors(app)
    _add_measures(app)
    _add_search(app, searcher)
    _add_page(app, searcher, name)
    return app


def _follow(live: LiveIndex, stopped: threading.Event, seconds: float) -> None:
    while not stopped.wait(seconds):
        try:
            live.follow()
        except Exception as error:  # whatever it is, the version that answers goes on, and /health tells
            live.problem = f"{type(error).__name__}: {error}"


def _add_search(app: FastAPI, searcher: Searcher) -> None:
    @app.get("/search")
    def search_by_parameters(asked: Annotated[Asked, Query()]) -> dict[str, Any]:
        return searcher.answer(asked)

    @app.post("/search")
    def search(asked: Asked) -> dict[str, Any]:
        return searcher.answer(asked)

    @app.get("/health")
    def health() -> dict[str, str]:
        live = searcher.live
        return {
            "status": "degraded" if live.problem else "ok",
            "index_id": live.current.index_id,
            "problem": live.problem,
        }


def _add_page(app: FastAPI, searcher: Searcher, name: str) -> None:
    templates = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(default=True))
    page = templates.get_template("search.html")
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")

    @app.get("/page.css", include_in_schema=False)
    def page_style() -> Response:
        return Response(style, media_type="text/css")

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def search_page(
        query: Annotated[str, Query(max_length=LONGEST_QUERY)] = "",
        mode: str = "hybrid",
        prf: Annotated[str, Query(max_length=LONGEST_FEATURE)] = "",
    ) -> HTMLResponse:
        index = searcher.live.current
        chosen = mode if mode in index.modes else "hybrid"
        shown = {
            "name": name,
            "query": query,
            "mode": chosen,
            "modes": index.modes,
            "prf": prf,
            "features": index.features,
            "longest_query": LONGEST_QUERY,
            "manifest": index.bundle.manifest,
        }
        try:
            asked = Asked(query=query, mode=chosen, prf=prf) if query else None  # type: ignore[arg-type]
            answer = searcher.answer(asked, index) if asked else None
        except NightjarError as error:
            return HTMLResponse(page.render(shown, problem=str(error)), status_code=_status(error))
        return HTMLResponse(page.render(shown, answer=answer))


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(NightjarError)
    def refused(_: Request, error: NightjarError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, _status(error))

    @app.exception_handler(RequestValidationError)
    def misfit(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return JSONResponse({"error": f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"}, 422)

    @app.exception_handler(Exception)
    def failed(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": f"the search failed: {type(error).__name__}"}, 500)


def _add_measures(app: FastAPI) -> None:
    registry = CollectorRegistry()
    requests = Counter("nightjar_requests", "Requests answered", ["route", "status"], registry=registry)
    seconds = Histogram("nightjar_request_seconds", "Time to answer", ["route"], registry=registry)

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.middleware("http")
    async def measured(request: Request, follow: Callable[[Request], Awaitable[Response]]) -> Response:
        began = time.perf_counter()
        response = _too_long(request) or await follow(request)
        # A path that is no route would make a label of whatever somebody types.
        route = getattr(request.scope.get("route"), "path", "none")
        requests.labels(route, str(response.status_code)).inc()
        seconds.labels(route).observe(time.perf_counter() - began)
        response.headers.update(HEADERS)
        return response


def _too_long(request: Request) -> JSONResponse | None:
    """A refusal of a body that is too long or does not say how long it is; None where there is nothing to refuse."""
    length = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers:
        return JSONResponse({"error": "the body must say its length"}, 411)
    if length and (not length.isdecimal() or int(length) > LONGEST_BODY):
        return JSONResponse({"error": f"the body may have at most {LONGEST_BODY} bytes"}, 413)
    return None


def _status(error: NightjarError) -> int:
    return 503 if isinstance(error, BundleError) else 400


def _filtered(index: Index, asked: Asked) -> tuple[list[Hit], int]:
    """The k best hits that pass the filters, and how many results were looked at for them."""
    hits = index.search(
        asked.query,
        MOST_EXAMINED if asked.filters else asked.k,
        asked.mode,
        asked.prf or None,
        asked.depth,
        positional=asked.positional,
        fusion=Fusion(asked.parts, asked.fusion, asked.weights),
    )
    return [hit for hit in hits if asked.passes(hit)][: asked.k], len(hits)


def _shown(index: Index, hit: Hit, terms: frozenset[str], analyser: Analyser) -> dict[str, Any]:
    spans = matching_spans(hit.text, terms, analyser)
    stored = index.bundle.stored
    features = {name: stored.features([hit.number], name)[0] for name in index.features}
    return {
        **{name: getattr(hit, name) for name in hit.__dataclass_fields__ if name != "number"},
        "address": web_address(hit.url),
        # Offsets in the document's text, which `start` of the passage counts from as well.
        "highlights": [{"start": hit.start + span.begin, "end": hit.start + span.end} for span in spans],
        "pieces": marked(hit.text, spans),
        "features": {name: text for name, text in features.items() if text},
    }
