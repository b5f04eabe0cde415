"""In touch with a Ray cluster: found, begun, and left again."""

import importlib.util
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from autointerp.errors import SettingsError, one_line
from autointerp.extras import how_to_install
from autointerp.signals import unchanged

_PATIENCE = 5.0
"""Seconds for a cluster's address to answer."""


@contextmanager
def connected(address: str | None, size: int) -> Iterator[None]:
    """In touch with a cluster: the one at the address, one begun here, or the one that the caller is in touch with.

    Raises:
        SettingsError: Ray is not installed, or no cluster is there.
    """
    if importlib.util.find_spec("ray") is None:
        raise SettingsError(f"--engine ray: Ray is not installed; {how_to_install('ray')}")
    _reach(address)
    # Before Ray is loaded: it would report its use over the network.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # What its core says of restarted actors is no concern of the user's; lost workers are reported by name.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    with unchanged():
        import ray  # pyright: ignore[reportMissingImports]

    if ray.is_initialized():
        yield
        return
    here = {"num_cpus": size + 1, "include_dashboard": False} if address is None else {}
    try:
        # Ray would end the process at SIGTERM.
        with _muted(), unchanged():
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **here)
    except (ConnectionError, ValueError, RuntimeError) as e:
        raise SettingsError(f"--ray-address {address}: no Ray cluster can be reached: {one_line(str(e))}") from e
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str | None) -> None:
    """Ray itself tries for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except OSError as e:
        raise SettingsError(f"--ray-address {address}: nothing answers there ({e.strerror or e})") from e


@contextmanager
def _muted() -> Iterator[None]:
    """Keeps from stderr what Ray's core says about its own log level; errors are raised all the same."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def here() -> object:
    """Where the display is: a lost node shall not take the mailbox with it."""
    import ray  # pyright: ignore[reportMissingImports]
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # pyright: ignore[reportMissingImports]

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
