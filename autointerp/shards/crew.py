"""Who does the work of a command: this process, or several."""

from autointerp.errors import SettingsError
from autointerp.settings import Execution
from autointerp.shards.dealing import Crew


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
