"""`autointerp cache info`: what the cache holds."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from autointerp.options import Command, Option, Work
from autointerp.settings import Location, alone_or_several

Runs = Annotated[tuple[Location, ...], BeforeValidator(alone_or_several)]
"""Runs: one, or several."""


class OfCache(Command):
    """Commands that look after the cache."""

    cache: Annotated[Path | None, Option(env="AUTOINTERP_CACHE", default="cache/")] = None
    """The folder of the answers."""


class CacheInfo(OfCache):
    """Show what the cache holds: answers by model, embeddings, outcomes, decoded images and the rest, with sizes.

    Example: `autointerp cache info --run runs/first`
    """

    runs: Annotated[Runs, Option("--run")] = ()
    """A run whose share in the answers is counted, as far as it keeps its exchanges; repeat it for several."""


cache_info = Work(CacheInfo, "autointerp.jobs.cache:info")
