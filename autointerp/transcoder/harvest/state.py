"""A harvest that was begun: its plan and its last checkpoint, in a hidden folder beside the dump."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np
from pydantic import Field, ValidationError

from autointerp.errors import SettingsError
from autointerp.populations.images import Population
from autointerp.record import Record
from autointerp.transcoder.files import is_none, locked_folder, written
from autointerp.transcoder.harvest.collector import Collector
from autointerp.transcoder.harvest.folders import PLAN
from autointerp.transcoder.settings import HarvestSettings, StoredHarvest, UsedPrecision

MOST = 4
"""Changes are written alone only if they are at most one part in so many of all, since writing copies them."""


class PlannedCoder(Record):
    """One coder of a harvest."""

    name: str
    digest: str
    reads: str
    above: float
    """Activation above which its latents fire, raw units."""


class PlannedShard(Record):
    """Which of several processes works here, and on which images."""

    index: int
    """From 0."""
    of: int
    first: int
    stop: int
    """The image after its last."""
    batch: int
    """Images run at once, which say where a shard may begin."""


class Plan(Record):
    """All that the dumps depend on."""

    format: Literal["autointerp-harvest/1"] = "autointerp-harvest/1"
    created: str
    """ISO 8601, UTC, as the dumps will state it."""
    settings: StoredHarvest
    population: str
    """Digest of the images and their labels."""
    backbone: str
    """Digest."""
    coders: tuple[PlannedCoder, ...]
    precision: UsedPrecision = "float32"
    """In which numbers the backbone is run; earlier versions had one alone."""
    shard: PlannedShard | None = Field(default=None, exclude_if=is_none)
    """None where one process runs all images."""

    def differs(self, other: "Plan") -> str | None:
        """Returns the first thing apart from the time in which two plans differ, in words."""
        for name in HarvestSettings.model_fields:
            if getattr(self.settings, name) != getattr(other.settings, name):
                return f"{name.replace('_', '-')} was {getattr(self.settings, name)}"
        if self.population != other.population:
            return "the images or their labels were others"
        if self.backbone != other.backbone:
            return "the backbone or its classifier was another"
        if self.precision != other.precision:
            return f"precision was {self.precision}"
        if self.coders != other.coders:
            return f"the coders were {', '.join(c.name for c in self.coders)}, or others of these names"
        return None


def population_digest(population: Population) -> str:
    """Computes the SHA-256, hex, over every image and what is said of it, in order."""
    found = hashlib.sha256()
    for image in population.images:
        found.update(f"{image.sha256} {image.attribute} {image.source} {image.label}\n".encode())
    return found.hexdigest()


class State:
    """The folder of a harvest under way.

    A checkpoint is a folder named after the images that are done: `done-N` holds all that was gathered, and `more-M-N`
    what changed since M images were done. Changes are written as long as all of them since the last `done` are smaller
    than it, so that what is written in all stays within about twice the changes. A folder gets its name once it is
    whole, so that a kill at any time leaves the one before.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other processes from it while the block lasts; without a plan at its end, the folder goes.

        Raises:
            SettingsError: another process holds it, or it cannot be made.
        """
        lock = locked_folder(self.folder, "another harvest of this dump is under way; wait for its end")
        try:
            yield
        finally:
            lock.release()
            if not (self.folder / PLAN).exists():
                shutil.rmtree(self.folder, ignore_errors=True)

    def plan(self) -> Plan | None:
        """Returns the plan of a harvest that was begun; None if none was.

        Raises:
            SettingsError: there is one and it cannot be read.
        """
        path = self.folder / PLAN
        try:
            return Plan.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, ValidationError) as e:
            raise SettingsError(f"{path}: not the plan of a harvest; remove the folder to begin anew") from e

    def begin(self, plan: Plan) -> None:
        """Writes the plan of the harvest.

        Raises:
            SettingsError: the folder cannot be written.
        """
        # What an end that was cut off has left is of another plan.
        self._remove([*self._checkpoints(), *self._followers()])
        with written(self.folder / PLAN) as path:
            path.write_text(plan.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def commit(self, n_done: int, collectors: Sequence[Collector]) -> None:
        """Keeps what was gathered from the first `n_done` images.

        Raises:
            SettingsError: the disk does not take it.
        """
        half, chain = self.folder / ".half", self._chain()
        # What follows on none of these has lost its beginning.
        self._remove([path for path in self._followers() if path not in chain])
        follows = bool(chain) and _is_small(chain, collectors)
        before = [] if follows else [*self._checkpoints(), *self._followers()]
        name = f"more-{_n_done(chain[-1]):012d}-{n_done:012d}" if follows else f"done-{n_done:012d}"
        try:
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            for i, collector in enumerate(collectors):
                arrays = collector.changes() if follows else collector.state()
                np.savez(half / f"{i}.npz", allow_pickle=False, **arrays)
            half.rename(self.folder / name)
        except OSError as e:
            raise SettingsError(f"{self.folder}: cannot be written: {e.strerror}; make room and go on") from e
        for collector in collectors:
            collector.kept()
        self._remove(before)

    def resume(self, collectors: Sequence[Collector]) -> int:
        """Brings the collectors to the last checkpoint; returns how many images are done, 0 without one.

        Raises:
            SettingsError: the checkpoint cannot be read.
        """
        chain = self._chain()
        for link in chain:
            for i, collector in enumerate(collectors):
                path = link / f"{i}.npz"
                try:
                    with np.load(path, allow_pickle=False) as stored:
                        arrays = {name: stored[name] for name in stored.files}
                    (collector.restore if link == chain[0] else collector.follow)(arrays)
                except (OSError, ValueError, KeyError, IndexError, BadZipFile) as e:
                    raise SettingsError(f"{path}: cannot be read; remove {self.folder} to begin anew") from e
        return _n_done(chain[-1]) if chain else 0

    def n_done(self) -> int:
        """Returns how many images are done by the last checkpoint, those before a shard's first included."""
        chain = self._chain() if (self.folder / PLAN).exists() else []
        return _n_done(chain[-1]) if chain else 0

    def end(self) -> None:
        """Ends the harvest: the dumps are there, and nothing is to be gone on with."""
        (self.folder / PLAN).unlink()

    def _checkpoints(self) -> list[Path]:
        return sorted(self.folder.glob("done-*"))

    def _followers(self) -> list[Path]:
        return sorted(self.folder.glob("more-*-*"))

    def _chain(self) -> list[Path]:
        """Returns the last whole checkpoint, and those that follow on it and on one another; nothing without one."""
        chain = self._checkpoints()[-1:]
        after = {int(path.name.split("-")[1]): path for path in self._followers()}
        while chain and (following := after.pop(_n_done(chain[-1]), None)) is not None:
            chain.append(following)
        return chain

    def _remove(self, checkpoints: Sequence[Path]) -> None:
        for old in checkpoints:
            shutil.rmtree(old, ignore_errors=True)


def _n_done(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[-1])


def _is_small(chain: Sequence[Path], collectors: Sequence[Collector]) -> bool:
    """Says whether what changed takes little memory, and all changes since the whole checkpoint less disk than it."""
    sizes = [collector.sizes() for collector in collectors]
    whole, changed = (sum(size[i] for size in sizes) for i in (0, 1))
    before = sum(file.stat().st_size for link in chain[1:] for file in link.iterdir())
    return changed <= whole / MOST and before + changed <= whole
