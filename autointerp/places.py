"""Where the program keeps files of its own."""

import os
from pathlib import Path


def cache_folder(given: str | Path | None = None) -> Path:
    """Where the cache is: `given`, else AUTOINTERP_CACHE, else `cache/` of the working folder."""
    if given is not None:
        return Path(given)
    return Path(os.environ.get("AUTOINTERP_CACHE") or "cache")
