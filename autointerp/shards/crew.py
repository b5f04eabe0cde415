"""Who does the work of a command: this process, or several."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autointerp.errors import SettingsError
from autointerp.remote.path import Location
from autointerp.runs.parts import Stage
from autointerp.runs.remote_copy import Mirror
from autointerp.settings import Execution
from autointerp.shards.dealing import Board, Call, Crew
from autointerp.shards.remote_runs import part_name, working_copy
from autointerp.shards.shards import Shard


def crew_of(execution: Execution) -> Crew | None:
    """The processes that do the work; None where this one does it.

    Raises:
        SettingsError: options that do not go together.
    """
    if execution.engine != "ray" and execution.actors is None:
        if execution.ray_address is not None:
            raise SettingsError("--ray-address goes with --engine ray")
        return None
    if execution.batch:
        raise SettingsError("--batch: one batch job asks for all features; leave out --engine")
    from autointerp.shards.ray_engine import ACTORS, RayCluster

    return RayCluster(execution.actors or ACTORS, execution.ray_address)


@contextmanager
def work_at(
    stage: Stage, run: Location, cache: Path | None, shard: Shard | None, crew: Crew | None
) -> Iterator[tuple[Path, Crew | None]]:
    """The folder of a run that a stage works on, as `run_at` gives it, and the crew, which knows of the URL.

    Raises:
        RunError: it cannot be read or written, or somebody else works on it.
    """
    with working_copy(run, cache, part=part_name(stage, shard), parts=crew is not None) as (folder, mirror):
        yield folder, crew if crew is None or mirror is None else CrewAtUrl(crew, mirror)


@dataclass(frozen=True)
class CrewAtUrl:
    """Several processes that work on a run at a URL, each in a copy of its own, which sends its part."""

    crew: Crew
    mirror: Mirror
    """Of whoever deals the shards, and merges them."""

    @property
    def size(self) -> int:
        """Returns how many processes work."""
        return self.crew.size

    async def work(self, call: Call, shards: Sequence[Shard], board: Board) -> None:
        """Has each shard worked on, as the crew does, and fetches the parts; raises as the crew, and RunError."""
        # What was merged is there, and its parts are gone, before parts of the same names are begun.
        await asyncio.to_thread(self.mirror.send, last=True)
        self.mirror.release_parts()
        try:
            await self.crew.work(call, shards, board)
        finally:
            await asyncio.to_thread(self.mirror.fetch_parts)
