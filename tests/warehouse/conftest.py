"""Where index versions can be kept."""

from pathlib import Path

import pytest


@pytest.fixture(params=["folder", "object storage"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What holds in a folder holds in object storage."""
    return str(tmp_path) if request.param == "folder" else str(request.getfixturevalue("bucket"))
