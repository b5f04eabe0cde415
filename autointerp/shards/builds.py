"""Whether the nodes of a Ray cluster run the very program that this machine runs."""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from autointerp.errors import SettingsError
from autointerp.version import __version__

_TOLD = 60.0
"""Seconds for all nodes to say it; one that does not is asked again when it begins a shard."""
_SOURCES = (".py", ".j2", ".toml")


@cache
def build() -> str:
    """The version of this program, and the first eight hex digits of a SHA-256 over its sources and templates."""
    home = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for file in sorted(p for p in home.rglob("*") if p.suffix in _SOURCES):
        digest.update(f"{file.relative_to(home).as_posix()}\0".encode())
        digest.update(file.read_bytes())
    return f"{__version__} (build {digest.hexdigest()[:8]})"


def node_builds() -> list[tuple[str, str]]:
    """The address of each node of the cluster that this process is in touch with, and what it runs.

    A node that does not say it in time, or is gone, is left out.
    """
    import ray  # pyright: ignore[reportMissingImports]
    from ray.exceptions import RayError  # pyright: ignore[reportMissingImports]
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # pyright: ignore[reportMissingImports]

    def told() -> str:
        # Travels as code, since another version may not have this module.
        try:
            from autointerp.shards.builds import build
        except ImportError:
            return "none, or one of before nodes were asked"
        return build()

    asked = []
    for node in (node for node in ray.nodes() if node["Alive"]):
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        task = ray.remote(told).options(num_cpus=0, scheduling_strategy=there)
        asked.append((str(node["NodeManagerAddress"]), task.remote()))
    ready, _ = ray.wait([answer for _, answer in asked], num_returns=len(asked), timeout=_TOLD)
    found: list[tuple[str, str]] = []
    for address, answer in asked:
        if answer in ready:
            with suppress(RayError):
                found.append((address, str(ray.get(answer))))
    return found


def differing(found: Iterable[tuple[str, str]], own: str) -> SettingsError | None:
    """What to say where a node runs another program, by the first one; None where all run the same.

    Args:
        found: the address of each node, and what it runs.
        own: what the machine runs that deals the shards.
    """
    for address, there in found:
        if there != own:
            return SettingsError(
                f"--engine ray: node {address} runs autointerp {there}, this machine {own}; install the same on every "
                "node"
            )
    return None


def refuse_others() -> None:
    """Raises SettingsError where a node runs another program; inside `connected`."""
    if (other := differing(node_builds(), build())) is not None:
        raise other
