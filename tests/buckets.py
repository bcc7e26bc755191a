"""A real server of S3's protocol on loopback, for tests about object storage."""

import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import ObjectStore, from_url

from warehouse.object_storage import object_registry


@contextmanager
def served_buckets() -> Iterator[str]:
    """Start the server, have the environment name it, and give its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "nightjar",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables["AWS_ENDPOINT_URL"]
    server.stop()


def new_bucket() -> str:
    """URL of an empty place of its own."""
    name = f"nightjar-{uuid.uuid4().hex}"
    urlopen(Request(f"{os.environ['AWS_ENDPOINT_URL']}/{name}", method="PUT")).close()
    return f"s3://{name}/corpora/birds"


def on_machine(patch: pytest.MonkeyPatch, cache: Path) -> None:
    """From now on this is a machine with another cache."""
    patch.setattr("warehouse.object_storage.cache_folder", lambda: cache)
    object_registry.cache_clear()


def objects(root: str) -> dict[str, bytes]:
    """What is stored under `indexes`, by path."""
    stored = _stored(root)
    paths = [found["path"] for page in obstore.list(stored) for found in page]
    return {path: bytes(obstore.get(stored, path).bytes()) for path in paths}


def store(root: str, path: str, content: bytes | None) -> None:
    """Replace an object under `indexes`, or delete it."""
    if content is None:
        obstore.delete(_stored(root), path)
    else:
        obstore.put(_stored(root), path, content)


def _stored(root: str) -> ObjectStore:
    return from_url(f"{root}/indexes", client_options={"allow_http": True})
