"""What jobs that run a network over images share where the actors of a Ray cluster do their work."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from autointerp.counting import Counting
from autointerp.errors import SettingsError
from autointerp.extras import TRAIN
from autointerp.pipeline import Stop
from autointerp.shards.builds import refuse_others
from autointerp.shards.ray_engine import ACTORS, connected
from autointerp.shards.ray_nodes import Takes, refuse_unfit
from autointerp.shards.ray_tasks import each
from autointerp.transcoder.backbones.registry import check_device
from autointerp.transcoder.precision import is_cuda
from autointerp.transcoder.settings import WorkplaceOfNetworks

Argument = TypeVar("Argument")


class Each(Protocol):
    """Works on each argument in a task of Ray."""

    def __call__(self, work: Callable[[Argument, Counting], None], arguments: Sequence[Argument], /) -> None:
        """Returns when all are done; raises what stopped one, and KeyboardInterrupt where all were to end."""
        ...


@dataclass(frozen=True)
class Crew:
    """Actors of a Ray cluster, each with a GPU or a group of cores."""

    size: int
    address: str | None
    """Of a running cluster, None to begin one on this machine."""
    takes: Takes

    @contextmanager
    def at_work(self, progress: Counting) -> Iterator[Each]:
        """Is in touch with the cluster while the block lasts; a first Ctrl-C ends what runs where it can go on.

        Raises:
            SettingsError: no cluster is there, its nodes run another program, or none has what a task takes.
        """
        stop = Stop()

        def work(task: Callable[[Argument, Counting], None], arguments: Sequence[Argument], /) -> None:
            asked = each(task, arguments, takes=self.takes, progress=progress, stopping=lambda: stop.reason is not None)
            for _ in asked:
                pass
            if stop.reason is not None:
                raise KeyboardInterrupt

        with stop.on_interrupt_without_loop(), connected(self.address, self.size * self.takes.cores):
            refuse_others()
            refuse_unfit(self.takes)
            yield work


def is_on_ray(place: WorkplaceOfNetworks) -> bool:
    """Whether the actors of a cluster do the work.

    Raises:
        SettingsError: options of a cluster without one.
    """
    if place.engine == "ray" or place.actors is not None:
        return True
    for option, given in (("--ray-address", place.ray_address is not None), ("--cores", place.cores != 1)):
        if given:
            raise SettingsError(f"{option} goes with --engine ray")
    return False


def crew_for(place: WorkplaceOfNetworks, device: str) -> Crew:
    """Returns the actors that were asked for."""
    takes = Takes(place.cores, int(is_cuda(device)), TRAIN, "train")
    return Crew(place.actors or ACTORS, place.ray_address, takes)


def check_networks(backbone: object, device: str, place: WorkplaceOfNetworks) -> None:
    """Refuses a network that cannot be sent to a cluster, and a device that no task can have.

    Raises:
        SettingsError: it is one.
    """
    if backbone is not None and not isinstance(backbone, str):
        raise SettingsError("--engine ray: a backbone made in Python cannot be sent to a cluster; give its name")
    if is_cuda(device) and device not in ("cuda", "cuda:0"):
        raise SettingsError(f"--device {device}: Ray gives each shard a GPU of its own; write --device cuda")
    if place.ray_address is None:
        check_device(device)
