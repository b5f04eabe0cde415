"""A cache for scripted judges."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from autointerp.lmm.cache import Cache


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    """Empty."""
    with Cache(tmp_path / "answers") as opened:
        yield opened
