"""A real server of S3's protocol on loopback, for tests about object storage."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from schemas.hashing import digest
from warehouse.object_storage import ObjectRegistry, object_registry


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
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=name)
    return f"s3://{name}/corpora/birds"


def on_machine(patch: pytest.MonkeyPatch, cache: Path) -> None:
    """From now on this is a machine with another cache."""
    patch.setattr("warehouse.object_storage.cache_folder", lambda: cache)
    object_registry.cache_clear()


def registry_on(root: str, cache: Path) -> ObjectRegistry:
    """The registry as a machine with this cache has it."""
    return ObjectRegistry(root, cache / "indexes" / digest(root))


def objects(root: str) -> dict[str, bytes]:
    """What is stored under `indexes`, by path."""
    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    client, above = boto3.client("s3", region_name="us-east-1"), f"{prefix}/indexes/"
    listed = client.list_objects_v2(Bucket=bucket, Prefix=above).get("Contents", [])
    keys = [found["Key"] for found in listed]
    return {key.removeprefix(above): client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def store(root: str, path: str, content: bytes | None) -> None:
    """Replace an object under `indexes`, or delete it."""
    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    client, key = boto3.client("s3", region_name="us-east-1"), f"{prefix}/indexes/{path}"
    if content is None:
        client.delete_object(Bucket=bucket, Key=key)
    else:
        client.put_object(Bucket=bucket, Key=key, Body=content)
