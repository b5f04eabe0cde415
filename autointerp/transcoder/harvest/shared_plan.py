"""What the shards of a harvest share: a plan that the first of them writes, and a folder with one of each."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import PositiveInt
from torch import Tensor

from autointerp.dump.format import CoderOrigin
from autointerp.record import Record
from autointerp.transcoder.activation import Encoded
from autointerp.transcoder.backbones.protocol import Frame
from autointerp.transcoder.files import locked_folder, read_record, written
from autointerp.transcoder.harvest.folders import PLAN
from autointerp.transcoder.harvest.run import batch_starts
from autointerp.transcoder.harvest.state import Plan, PlannedShard, State
from autointerp.transcoder.harvest.writing import Store

PATIENCE = 60.0
"""Seconds to wait for another shard that writes the common plan."""


class Sizes(Record):
    """Stands for a coder that is not needed, since what it encoded is at hand."""

    n_latents: int
    widths: tuple[int, ...]

    def encode(self, inputs: Tensor, /) -> Encoded:
        """Is never called."""
        raise AssertionError("what is encoded is at hand")


class SharedCoder(Record):
    """What a merge must know of a coder."""

    sizes: Sizes
    shape: tuple[int, int]
    """Patches of an image, and channels that it reads."""
    grid: tuple[int, int]
    """Rows and columns of the patches."""
    hookpoint: str
    about: str
    decoder: str | None
    """Name of the file beside this one."""
    origin: CoderOrigin | None


class Listed(Record):
    """How the population was read."""

    images: str
    """A path, an absolute one, or whatever else names it."""
    labels: str | None
    attribute: str
    error_folders: tuple[str, ...]
    label_column: str | None
    group_column: str | None


class SharedPlan(Record):
    """plan.json of the shards' folder: what all of them are of, as the first of them found it."""

    format: Literal["autointerp-harvest-shards/1"] = "autointerp-harvest-shards/1"
    version: str
    """Of this package."""
    of: PositiveInt
    batch: PositiveInt
    """Images run at once."""
    store: Store
    listed: Listed
    plan: Plan
    coders: tuple[SharedCoder, ...]
    model: str
    """Name of the backbone."""
    frame: Frame
    """What of a picture it sees."""
    classifier: str | None
    """Digest of the classifier's network that is run."""

    def differs(self, other: "SharedPlan") -> str | None:
        """Returns the first thing in which two harvests differ, in words, apart from where images and shards lie."""
        if self.version != other.version:
            return f"the version of autointerp was {self.version}"
        for name in ("batch", "store"):
            if getattr(self, name) != getattr(other, name):
                return f"{name} was {getattr(self, name)}"
        if self.of != other.of:
            return f"there were {self.of} shards"
        return self.plan.differs(other.plan)

    def images_of(self, index: int, n_images: int) -> range:
        """Returns the images of a shard: a run of whole batches, as many as the others have, up to one."""
        starts = batch_starts(n_images, self.plan.settings.checkpoint_every, self.batch)
        edges = np.r_[starts, n_images]
        first, stop = (int(edges[len(starts) * i // self.of]) for i in (index, index + 1))
        return range(first, stop)

    def plan_of(self, index: int, images: range) -> Plan:
        """Returns the plan of one shard, which runs these images."""
        own = PlannedShard(index=index, of=self.of, first=images.start, stop=images.stop, batch=self.batch)
        return self.plan.model_copy(update={"shard": own})


@dataclass(frozen=True, slots=True)
class Shards:
    """The folder of all shards of a harvest: the common plan, and a folder of each."""

    folder: Path

    def state(self, index: int, of: int) -> State:
        """Returns where a shard keeps what it gathers."""
        return State(self.folder / f"{index}-of-{of}")

    def plan(self) -> SharedPlan | None:
        """Returns the common plan; None before the first shard has written it.

        Raises:
            SettingsError: there is one and it cannot be read.
        """
        if not (self.folder / PLAN).exists():
            return None
        return read_record(self.folder / PLAN, SharedPlan, missing=f"{self.folder / PLAN}: is missing")

    def begin(self, plan: SharedPlan, decoders: Sequence[npt.NDArray[np.float32] | None]) -> SharedPlan:
        """Writes the common plan unless another shard has by now; returns the one that holds.

        Raises:
            SettingsError: the folder cannot be written.
        """
        with self.locked(PATIENCE):
            if (there := self.plan()) is not None:
                return there
            for coder, decoder in zip(plan.coders, decoders, strict=True):
                if coder.decoder is not None and decoder is not None:
                    with written(self.folder / coder.decoder) as path, path.open("wb") as file:
                        np.save(file, decoder, allow_pickle=False)
            with written(self.folder / PLAN) as path:
                path.write_text(plan.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return plan

    @contextmanager
    def locked(self, patience: float) -> Iterator[None]:
        """Keeps others from the common plan.

        Raises:
            SettingsError: another process holds it for longer, or the folder cannot be written.
        """
        lock = locked_folder(self.folder, "is being merged by another process; wait for its end", patience)
        try:
            yield
        finally:
            lock.release()

    def missing(self, shared: SharedPlan, n_images: int) -> list[str]:
        """Returns the shards that are not done, as `--shard` takes them."""
        return [
            f"{i}/{shared.of}"
            for i in range(shared.of)
            if (images := shared.images_of(i, n_images)) and self.state(i, shared.of).n_done() < images.stop
        ]

    def remove(self) -> None:
        """Removes all shards; what a kill leaves of them is no harvest."""
        (self.folder / PLAN).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
