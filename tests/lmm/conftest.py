"""Doors over a cache of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import MakeGateway, NoImages, Script

from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.limits import Limiter
from autointerp.settings import Budget


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[MakeGateway]:
    """Doors over one cache; a question is expected to use 10 tokens in and 5 out."""
    with Cache(tmp_path / "answers") as cache:

        def make(script: Script, *, attempts: int = 3, ceiling: int = 8, tokens: int | None = None) -> Gateway:
            ledger = Ledger(Budget.of(tokens, "tokens") if tokens else None, {"m": None})
            return Gateway(
                script,
                cache,
                Limiter(ceiling),
                ledger,
                NoImages(),
                attempts=attempts,
                estimate=lambda request: TokenEstimate(10, 5),
            )

        yield make
