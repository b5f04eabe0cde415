"""Where a harvest keeps what it has gathered while it is under way: hidden folders beside the dump."""

from pathlib import Path

PLAN = "plan.json"
"""In each of these folders once a harvest has begun."""


def state_folder(dump: Path) -> Path:
    """Returns the folder of a harvest by one process."""
    return dump.parent / f".{dump.name}.harvest"


def shards_folder(dump: Path) -> Path:
    """Returns the folder of a harvest in shards."""
    return dump.parent / f".{dump.name}.shards"
