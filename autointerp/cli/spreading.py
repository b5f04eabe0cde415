"""From the options about shards and processes to who works on what."""

from typing import TYPE_CHECKING

from autointerp.errors import SettingsError

if TYPE_CHECKING:
    from autointerp.jobs.sharding import Shard
    from autointerp.jobs.spreading import Crew

ENGINES = ("local", "ray")


def shard_and_crew(
    shard: str | None, workers: int | None, engine: str, ray_address: str | None, *, batch: bool
) -> "tuple[Shard | None, Crew | None]":
    """The shard to work on, or the processes that do; neither where this process does all.

    Raises:
        SettingsError: options that do not go together, or a shard that is none.
    """
    from autointerp.jobs.sharding import parse_shard

    if engine not in ENGINES:
        raise SettingsError(f"--engine {engine}: no such engine; there is {', '.join(ENGINES)}")
    if ray_address is not None and engine != "ray":
        raise SettingsError("--ray-address goes with --engine ray")
    if shard is not None and (workers is not None or engine == "ray"):
        raise SettingsError("--shard is worked on by one process; for several give more shards, or --workers alone")
    if shard is not None:
        piece, crew = parse_shard(shard), None
    else:
        piece, crew = None, _crew(workers, engine, ray_address)
    if batch and (piece is not None or crew is not None):
        raise SettingsError("--batch: one batch job asks for all features; leave out --shard, --workers and --engine")
    return piece, crew


def _crew(workers: int | None, engine: str, address: str | None) -> "Crew | None":
    if engine == "ray":
        from autointerp.jobs.ray_engine import RayCluster

        return RayCluster(workers or 2, address)
    if workers is None or workers == 1:
        return None
    from autointerp.jobs.workers import Processes

    return Processes(workers)
