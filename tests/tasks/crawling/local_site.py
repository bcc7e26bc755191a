"""A small web site on loopback that answers what a test tells it to, and remembers what it was asked."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tasks.crawling.site import SiteAddress

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class LocalSite:
    """What to answer by path; every request as path and headers."""

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def address(self) -> SiteAddress:
        return SiteAddress("site.localhost", self.port)

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    def headers_of(self, path: str) -> dict[str, str]:
        return next(headers for asked, headers in self.requests if asked == path)

    def page(self, path: str, body: str | bytes = "", status: int = 200, **headers: str) -> None:
        """Answer a path with a fixed page; underscores in header names stand for hyphens."""
        content = body.encode() if isinstance(body, str) else body

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in ({"Content_Type": "text/html"} | headers).items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)

        self.answers[path] = answer


def _not_found(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


@contextmanager
def serve_locally() -> Iterator[LocalSite]:
    """A site on a free port, until the block ends."""
    site = LocalSite()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.requests.append((self.path, dict(self.headers)))
            with suppress(OSError):  # the crawler may hang up
                site.answers.get(self.path, _not_found)(self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """The crawler may hang up in the middle of a request, too."""

    with Server(("127.0.0.1", 0), Handler) as server:
        site.port = server.server_port
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield site
        server.shutdown()
