"""Runs a command for as long as this program's own standard input stays open.

`python leash.py COMMAND...`, in a process group of its own: when whoever holds the other end of the
input lets go of it, or dies in whatever way, the whole group ends. Imports the standard library alone,
since it stands between a crawl and its start.
"""

import os
import signal
import subprocess
import sys
import threading
import time

STOP_SECONDS = 3.0


def main(command: list[str]) -> None:
    """Run the command; exit with its status, or end it and its children together with the input."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error.strerror}")
    let_go = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(process, let_go), daemon=True).start()
    status = process.wait()
    if let_go.is_set():
        _end_group()
    sys.exit(status)


def _wait_for_the_end(process: subprocess.Popen[bytes], let_go: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    let_go.set()
    process.terminate()
    time.sleep(STOP_SECONDS)
    _end_group()


def _end_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
