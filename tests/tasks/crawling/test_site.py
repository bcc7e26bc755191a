import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from schemas.corpus import SiteSettings, load_corpus
from schemas.errors import SetupError
from tasks.crawling import leash
from tasks.crawling.site import serve_site

SERVER = ("{python}", "-m", "http.server", "--bind", "127.0.0.1", "{port}")


def get(port: int, path: str = "/") -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    return connection.getresponse().read().decode()


def test_serves_until_the_block_ends() -> None:
    with serve_site(SiteSettings(command=SERVER, host="site.localhost", port=0)) as address:
        assert address.host == "site.localhost"
        assert "Directory listing" in get(address.port)
    with pytest.raises(ConnectionRefusedError):
        get(address.port)


def test_the_shipped_site_shows_topics_and_modules_and_no_environment() -> None:
    site = load_corpus("pydoc").site
    assert site is not None
    with serve_site(site) as address:
        assert "topic?key=ASSIGNMENT" in get(address.port, "/topics.html")
        assert "bisect.html" in get(address.port, "/index.html")
        assert os.environ["PATH"] not in get(address.port, "/os.html")


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = SiteSettings(command=SERVER, host="site.localhost", port=port)
        with pytest.raises(SetupError, match=rf"port {port} of 127\.0\.0\.1.*site\.port = 0"), serve_site(settings):
            pass


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("no-such-program",), "no-such-program cannot be started: No such file"),
        (("{python}", "-c", "raise SystemExit('no licence')"), "exit status 1 before it answered; it said: no licence"),
    ],
)
def test_a_site_that_does_not_start_says_why(command: tuple[str, ...], said: str) -> None:
    settings = SiteSettings(command=command, host="site.localhost", port=0)
    with pytest.raises(SetupError, match=said), serve_site(settings):
        pass


def is_running(process_id: int) -> bool:
    """Whether a process is there and not merely waiting for its parent to notice that it ended."""
    status = Path(f"/proc/{process_id}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_the_leash_ends_a_command_and_its_children(tmp_path: Path) -> None:
    grandchild = "import os, time; open('pid', 'w').write(str(os.getpid())); os.rename('pid', 'ready'); time.sleep(99)"
    command = ["sh", "-c", f'{sys.executable} -c "{grandchild}"; true']
    leashed = subprocess.Popen(
        [sys.executable, leash.__file__, *command], stdin=subprocess.PIPE, cwd=tmp_path, start_new_session=True
    )
    while not (tmp_path / "ready").exists():
        time.sleep(0.02)
    leashed.communicate()
    child = int((tmp_path / "ready").read_text())
    for _ in range(200):  # a kill takes effect a moment later
        if not is_running(child):
            return
        time.sleep(0.02)
    pytest.fail("the command's child outlived the leash")
