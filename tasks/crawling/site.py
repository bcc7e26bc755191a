"""The site that a corpus file asks Nightjar to serve to itself for the length of a crawl."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from schemas.corpus import SiteSettings
from schemas.errors import SetupError
from tasks.crawling import leash

LOOPBACK = "127.0.0.1"

_START_SECONDS = 30.0

# A served page may print the environment of its process (pydoc does), and what it prints is stored.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


@dataclass(frozen=True)
class SiteAddress:
    """Where a served site listens: `host` in URLs stands for this port on loopback."""

    host: str
    port: int


@contextlib.contextmanager
def serve_site(settings: SiteSettings) -> Iterator[SiteAddress]:
    """Run the site's command until the block, or this process, ends.

    Its standard input stays open and silent, since some servers read commands there. Its environment is
    a small one, without this process's secrets.

    Raises:
        SetupError: the port is taken, or the command is not there, stops early or never answers.
    """
    port = settings.port or free_port()
    _check_free(port)
    with tempfile.TemporaryFile() as log:
        process = _start(settings, port, log)
        try:
            _wait_until_it_answers(process, settings, port, log)
            yield SiteAddress(settings.host, port)
        finally:
            _stop(process)


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise SetupError(
                f"port {port} of {LOOPBACK} cannot be listened on: {error.strerror}",
                where="site.port",
                remedy="Stop the program that has it, or set site.port = 0 in the corpus file to take a free one",
            ) from error


def _start(settings: SiteSettings, port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [part.replace("{python}", sys.executable).replace("{port}", str(port)) for part in settings.command]
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-I", "-S", leash.__file__, *command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env=environment,
        start_new_session=True,
    )


def _wait_until_it_answers(process: subprocess.Popen[bytes], settings: SiteSettings, port: int, log: IO[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(settings.host, port):
        if process.poll() is not None:
            raise _not_up(f"stopped with exit status {process.returncode} before it answered", log)
        if time.monotonic() > deadline:
            raise _not_up(f"did not answer on port {port} within {_START_SECONDS:.0f} s", log)
        time.sleep(0.05)
    if process.poll() is not None:
        raise _not_up(f"stopped, and another program answers on port {port}", log)


def _answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_START_SECONDS)
    try:
        connection.request("GET", "/", headers={"Host": host})
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _not_up(what: str, log: IO[bytes]) -> SetupError:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    said = f"; it said: {lines[-1].strip()}" if lines else ""
    return SetupError(what + said, where="site.command", remedy="Run the command by hand to see what it lacks")


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait()
    with contextlib.suppress(ProcessLookupError):  # children of a command that stopped by itself
        os.killpg(process.pid, signal.SIGKILL)
