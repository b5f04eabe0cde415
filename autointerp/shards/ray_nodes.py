"""Whether the nodes of a Ray cluster have what a task takes, asked before anything is run."""

from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec

from autointerp.errors import SettingsError
from autointerp.extras import how_to_install

_TOLD = 60.0
"""Seconds for all nodes to answer; one that does not is asked again when it begins a task."""


@dataclass(frozen=True)
class Takes:
    """What one task takes of a node."""

    cores: int = 1
    gpus: int = 0
    modules: tuple[str, ...] = ()
    """That must be installed there."""
    extra: str = ""
    """Of this package, which brings them."""

    def refused(self, node: str, missing: tuple[str, ...]) -> SettingsError | None:
        """What to say of a node on which modules are missing; None where none is."""
        if not missing:
            return None
        return SettingsError(
            f"--engine ray: node {node} lacks {', '.join(missing)} of the extra `{self.extra}`; "
            f"{how_to_install(self.extra)}, on every node"
        )

    def nobody(self, nodes: list[dict[str, float]]) -> SettingsError | None:
        """What to say where no node can ever run a task; None where one can.

        Args:
            nodes: of each what it has, by the names that Ray gives to CPUs and GPUs.
        """
        able = [node for node in nodes if node.get("GPU", 0) >= self.gpus]
        if not able:
            return SettingsError(
                "--device cuda: no node of the Ray cluster has a GPU; start one that has, or leave out --device cuda"
            )
        if max(node.get("CPU", 0) for node in able) < self.cores:
            most, of = max(int(node.get("CPU", 0)) for node in able), " with a GPU" if self.gpus else ""
            return SettingsError(f"--cores {self.cores}: the largest node{of} of the Ray cluster has {most}")
        return None


def lacking(modules: tuple[str, ...]) -> tuple[str, ...]:
    """Those modules that are not installed here."""
    return tuple(name for name in modules if find_spec(name) is None)


def refuse_unfit(takes: Takes) -> None:
    """Raises SettingsError where no node can run a task, or one that could lacks a module; inside `connected`."""
    import ray  # pyright: ignore[reportMissingImports]
    from ray.exceptions import RayError  # pyright: ignore[reportMissingImports]
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # pyright: ignore[reportMissingImports]

    nodes = [node for node in ray.nodes() if node["Alive"]]
    if (nobody := takes.nobody([node["Resources"] for node in nodes])) is not None:
        raise nobody

    def lacks(modules: tuple[str, ...]) -> tuple[str, ...]:
        # Travels as code.
        from importlib.util import find_spec

        return tuple(name for name in modules if find_spec(name) is None)

    asked = []
    for node in (node for node in nodes if takes.nobody([node["Resources"]]) is None):
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        task = ray.remote(lacks).options(num_cpus=0, scheduling_strategy=there)
        asked.append((str(node["NodeManagerAddress"]), task.remote(takes.modules)))
    ready, _ = ray.wait([answer for _, answer in asked], num_returns=len(asked), timeout=_TOLD)
    for address, answer in asked:
        if answer in ready:
            with suppress(RayError):
                if (refused := takes.refused(address, tuple(map(str, ray.get(answer))))) is not None:
                    raise refused
