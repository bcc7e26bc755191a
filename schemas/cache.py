"""Where models and JARs are kept between checkouts."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """$NIGHTJAR_CACHE, or ~/.cache/nightjar."""
    return Path(os.environ.get("NIGHTJAR_CACHE") or Path.home() / ".cache" / "nightjar")
