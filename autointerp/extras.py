"""What training and making pictures need that the core does not; loads none of it."""

from collections.abc import Sequence
from importlib.util import find_spec

from autointerp.errors import ExtraError

TRAIN = ("torch", "safetensors", "scipy", "imagehash")
"""Modules of the extra `train`."""

GENERATE = ("diffusers", "torch", "transformers", "accelerate")
"""Modules of the extra `generate`."""

RL = ("torch", "transformers", "accelerate", "datasets", "trl")
"""Modules of the extra `rl`."""


def how_to_install(extra: str) -> str:
    """The command that installs an extra: from a checkout, since no package index has this package."""
    return f"run pip install '.[{extra}]' in your checkout of autointerp"


def need(what: str, modules: Sequence[str], extra: str) -> None:
    """Stops where a module is not installed.

    Args:
        what: wants them.
        modules: names as they are imported.
        extra: of this package, that brings them.

    Raises:
        ExtraError: one is missing.
    """
    if missing := [name for name in modules if find_spec(name) is None]:
        raise ExtraError(f"{what} needs {', '.join(missing)}; {how_to_install(extra)}")
