"""Serving a corpus over HTTP until somebody stops it."""

import socket
from functools import partial

import uvicorn

from flows import opening
from flows.progress import progress_for_terminal
from models.opening import token_counter
from schemas.corpus import Corpus
from schemas.errors import SetupError
from serving.follow import LiveIndex
from serving.service import create_app


def serve_until_stopped(corpus: Corpus, host: str, port: int) -> None:
    """Listen, say where, and answer from the live index.

    Args:
        port: to listen on; 0 takes a free one.

    Raises:
        BundleError: nothing is published, or the live bundle is damaged.
        SetupError: the address is not of this machine, or the port is taken.
    """
    progress = progress_for_terminal()
    open_encoder = partial(opening.encoder, corpus.encoder, progress)
    open_sparse_encoder = opening.sparse_encoder_of(corpus, progress)
    count_tokens = token_counter(corpus.encoder)
    live = LiveIndex(corpus.indexes, open_encoder, count_tokens, open_sparse_encoder=open_sparse_encoder)
    with _listening(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        print(f"{corpus.name} is served at http://{shown}:{listener.getsockname()[1]}/", flush=True)
        uvicorn.Server(uvicorn.Config(create_app(live, name=corpus.name), log_level="warning")).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise SetupError(
            f"cannot listen: {error.strerror or error}",
            where=f"{host}:{port}",
            remedy="Choose another address or port with --host and --port",
        ) from error
