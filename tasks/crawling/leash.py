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

STOP_SECONDS = 3.0


def main(command: list[str]) -> None:
    """Run the command; exit with its status, or end it together with the input."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error.strerror}")
    threading.Thread(target=lambda: os._exit(process.wait() & 0xFF), daemon=True).start()
    while os.read(sys.stdin.fileno(), 4096):
        pass
    process.terminate()
    threading.Event().wait(STOP_SECONDS)  # cut short by the thread once the command has ended
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
