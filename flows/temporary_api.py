"""A Prefect API for the length of one command, started beside everything else that takes a while to start."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from schemas.errors import SetupError
from tasks.crawling.site import free_port

STARTUP_SECONDS = 180
SERVER = {"PREFECT_SERVER_UI_ENABLED": "false", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}


@contextmanager
def temporary_api() -> Iterator[Callable[[], None]]:
    """Start Prefect's API unless the settings name one; yields a function that waits until it answers.

    Prefect would start the same server itself, but only once a flow begins, and after it has loaded the server's
    code into this process as well. Started here, it gets ready while the flow is imported and Spark starts.

    Raises:
        SetupError: (by the yielded function) the server does not start.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if PREFECT_API_URL.value():
        yield lambda: None
        return
    url = f"http://127.0.0.1:{free_port()}/api"
    server = _start(url)
    try:
        with temporary_settings({PREFECT_API_URL: url}):
            yield lambda: _wait(server, url)
            # What Prefect still had to send is lost with the server, and that is all right: the run is over.
            logging.getLogger("prefect").setLevel(logging.CRITICAL)
    finally:
        server.terminate()
        server.wait()


def _start(url: str) -> subprocess.Popen[bytes]:
    port = httpx.URL(url).port
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    options = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "critical", "--lifespan", "on"]
    return subprocess.Popen([*command, *options], env={**os.environ, **SERVER})


def _wait(server: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{url}/health").status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise SetupError(
        "Prefect's temporary API does not start",
        where=url,
        remedy="Run: prefect server start, and set PREFECT_API_URL to its address to see why",
    )
