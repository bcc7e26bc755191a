from collections.abc import Iterator

import pytest

from tests.tasks.crawling.local_site import LocalSite, serve_locally


@pytest.fixture
def local_site() -> Iterator[LocalSite]:
    with serve_locally() as site:
        yield site
