"""Figures of all features by what the list and the overview ask for, and what is kept of what was worked out."""

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from autointerp.explorer.index import Index
from autointerp.explorer.index_columns import Floats, Ints, Snapshot, Whole
from autointerp.explorer.index_lines import SAID, Key
from autointerp.explorer.index_update import FAILED, SETTLED
from autointerp.reports.labels import headline_of, scorer_order
from autointerp.settings import HUMAN

T = TypeVar("T")
N_KEPT = 8
"""Orders of a kind that are kept, at four bytes a feature."""
PERSON = f"{HUMAN}:"
"""How the judge's name begins where a person judged."""


def key_of(index: Index, name: str = "") -> Key | None:
    """The scores that go by a name; where none do, those by which features are ranked."""
    keys = index.keys
    named = [key for key in keys if key.name == name]
    if named:
        return named[0]
    own = [key for key in keys if not key.judging and not key.judge.startswith(PERSON)] or list(keys)
    headline = headline_of(scorer_order({key.scorer for key in own}))
    return next((key for key in own if key.scorer == headline), None)


def counterpart(index: Index, key: Key | None) -> Key | None:
    """The scores of another run that are compared with some: by the same scorer, and of the same judge if it has them.

    Scores of different scorers say different things, so that there is None where no score is by that scorer.
    """
    own = [key_there for key_there in index.keys if key is not None and key_there.scorer == key.scorer]
    if key is None or not own:
        return None

    def rank(there: Key) -> tuple[bool, bool, bool, bool]:
        return there.name != key.name, there.judge != key.judge, there.judge.startswith(PERSON), bool(there.judging)

    return min(own, key=rank)


def density_of(index: Index, now: Snapshot) -> NDArray[np.float32]:
    """Share of images that fire each feature, 0 to 1; NaN where that is not known."""
    if "density" not in now.kept:
        info, n_active = index.dump.info, now.whole("n_active")
        density = (n_active / max(info.n_images, 1)).astype(np.float32)
        top = info.top_only
        if info.population == "unknown":
            density = np.full(now.n, np.nan, np.float32)
        elif top is not None and not top.counted:
            density[n_active >= top.k] = np.nan
        now.kept["density"] = density
    kept = now.kept["density"]
    assert isinstance(kept, np.ndarray)
    return kept


def state_of(now: Snapshot, at: Ints | slice = slice(None)) -> NDArray[np.uint8]:
    """Of the features at some places, or of all, the place of their state in `STATES`."""
    said, failed = now.whole("said")[at], now.whole("failed")[at]
    without = np.choose(failed, (5, 3, 4)).astype(np.uint8)
    return np.where(said > 0, said - 1, without).astype(np.uint8)


STATES = (*SAID[1:], "failed", "unexplainable", SAID[0])
assert (FAILED, SETTLED) == (1, 2)


def figure(index: Index, key: Key | None, name: str = "value") -> Floats:
    """A figure of all features, NaN where there is none."""
    return index.now.floats(index.scores_column(key, name) if key else "")


def status(index: Index, key: Key | None) -> Whole:
    """Of each feature the place of its score's status in `SCORED`."""
    return index.now.whole(index.scores_column(key, "status") if key else "status")


def once(now: Snapshot, name: tuple[object, ...], make: Callable[[], T]) -> T:
    """What is worked out once for a snapshot; two threads that ask at once may both do it."""
    if name not in now.kept:
        now.kept[name] = make()
    return cast("T", now.kept[name])


def keep(now: Snapshot, key: tuple[object, ...], worked_out: Whole, most: int = N_KEPT) -> Whole:
    """Keeps what was worked out, and the last few of its kind, which the key begins with."""
    kept = [name for name in tuple(now.kept) if isinstance(name, tuple) and name[0] == key[0]]
    for name in kept[: max(0, len(kept) + 1 - most)]:
        now.kept.pop(name, None)
    now.kept[key] = worked_out
    return worked_out
