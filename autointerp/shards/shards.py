"""Cuts a choice of features into shards, and opens the folder in which one process writes its own."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autointerp.arrays import LOT
from autointerp.dump.reader import Dump
from autointerp.errors import RunError, SettingsError, typed
from autointerp.job import JobResult
from autointerp.runs.folder import Run, RunWriter, open_run
from autointerp.runs.index import NONE, Ints, holds
from autointerp.runs.info import FIRST, RunInfo, difference
from autointerp.runs.parts import (
    PARTS,
    PartInfo,
    Place,
    Stage,
    digest_of,
    part_path,
    parts_of,
    places,
    read_splits,
    remove_empty,
    settle_split,
    write_part,
)

PATIENCE = 20.0
"""Seconds to wait for processes of an earlier start that are still writing their last answers."""
_SHARD = re.compile(r"(\d{1,5})/(\d{1,5})")


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """One of several disjoint pieces of the chosen features."""

    index: int
    """From 0."""
    of: int
    ids: Ints | None = None
    """The features, ascending, where one process deals the shards; None for a piece that `cut` makes."""


def parse_shard(text: str) -> Shard:
    """Reads a shard such as `0/8` or `7/8`.

    Raises:
        SettingsError: the text is none of these.
    """
    match = _SHARD.fullmatch(text.strip())
    if match is None or int(match[2]) == 0:
        raise SettingsError(f"--shard {text!r}: write it as 0/8, the first of eight")
    index, of = int(match[1]), int(match[2])
    if index >= of:
        raise SettingsError(f"--shard {text}: shards are counted from 0, so here they are 0/{of} to {of - 1}/{of}")
    return Shard(index, of)


def cut(dump: Dump, ids: Ints, n: int) -> list[Ints]:
    """Cuts ascending ids into `n` runs of neighbours, so that hardly a row group of the dump is read by two.

    They have equally many features that fire on some image, up to one: the others cost no call. It depends on the dump
    and the ids alone.
    """
    fires = np.empty(dump.n_features, np.bool_)
    for rows, n_active in dump.lots_of_features("n_active"):
        fires[rows] = n_active > 0
    lots = (ids[start : start + LOT] for start in range(0, len(ids), LOT))
    own = [fires[np.searchsorted(dump.feature_ids, lot)] for lot in lots]
    # Features are numbered in 32 bits, so that there are no more than these count.
    cost = np.cumsum(np.concatenate([fires[:0], *own]), dtype=np.int32)
    whole = int(cost[-1]) if len(cost) else 0
    edges = np.searchsorted(cost, np.array([-(-whole * i // n) for i in range(1, n)], np.int32), side="left") + 1
    return np.split(ids, np.minimum(edges, len(ids))) if whole else np.array_split(ids, n)


@dataclass(frozen=True)
class ShardWriter:
    """Where one process works on its features: the folder it writes, and what of them is done."""

    writer: RunWriter
    """Of the part, or of the run itself."""
    run: Run
    """The run itself, from which explanations are read."""
    ids: Ints
    """Features to be worked on here, ascending."""
    sources: Sequence[Run]
    """In which lines of these features may stand."""

    def explained(self) -> Ints:
        """Features that have an explanation, ascending."""
        return _union([run.index().features for run in self.sources])

    def unexplainable(self) -> dict[int, str]:
        """Those of the features here that can never be explained, and why."""
        found = {feature: why for run in self.sources for feature, why in run.unexplainable().items()}
        return {feature: why for feature, why in found.items() if holds(self.ids, feature)}

    def scored(self, scorer: str) -> Ints:
        """Features that this scorer is through with in the judging that is written, ascending."""
        judging = self.writer.run.judging
        return _union([run.of_judging(judging).scored(scorer) for run in self.sources])


def _union(several: Sequence[Ints]) -> Ints:
    """The features of all, ascending; each has them ascending."""
    some = [features for features in several if len(features)]
    return some[0] if len(some) == 1 else np.unique(np.concatenate([NONE, *some]))


@contextmanager
def shard_writer(
    path: Path,
    stage: Stage,
    info: RunInfo,
    chosen: Ints,
    dump: Dump,
    shard: Shard | None,
    result: JobResult,
    judging: str = FIRST,
) -> Iterator[ShardWriter]:
    """Opens the run's folder, or with a shard that of its part.

    Args:
        path: of the run.
        stage: which is worked on.
        info: what run.json must say.
        chosen: all features that the shards together are of, ascending.
        dump: of the run.
        shard: None for all of them.
        result: asked at the end whether all was tried.
        judging: that is written.

    Raises:
        RunError: the folder belongs to other settings, to another choice of features, or is being written; or parts
            lie there that should be merged first.
    """
    if shard is None:
        refuse_unmerged(path, ("explain",) if stage == "explain" else ("explain", "score"))
        with RunWriter(path, info, judging) as writer:
            yield ShardWriter(writer, writer.run, chosen, [writer.run])
            if result.tried:
                settle_split(path, stage, digest_of(chosen, judging))
        return
    place = Place(stage, shard.index, shard.of)
    whole = _agreeing(path, info)
    if shard.ids is None:
        ids, dealt = cut(dump, chosen, shard.of)[shard.index], False
        about = PartInfo(selection=digest_of(chosen, judging), features=len(ids))
        _refuse_others(path, place, about, info)
    else:
        ids, dealt = shard.ids, True
        about = PartInfo(selection=digest_of(ids, judging), features=len(ids), dealt=True)
    with _leaving_no_trace(path, dealt=dealt), RunWriter(part_path(path, place), info, judging) as writer:
        write_part(writer.run.path, about)
        result.run = writer.run.path
        # Whoever deals shards leaves out what the run has.
        yield ShardWriter(writer, whole, ids, [writer.run] if dealt else [whole, writer.run])
        if result.stopped is None:
            write_part(writer.run.path, about.model_copy(update={"finished": True}))


@contextmanager
def _leaving_no_trace(path: Path, *, dealt: bool) -> Iterator[None]:
    """Removes the folders around a part that came to nothing; whoever deals shards does that itself."""
    new = not path.exists()
    try:
        yield
    finally:
        if not dealt:
            remove_empty(path / PARTS)
            if new:
                remove_empty(path)


def refuse_unmerged(path: Path, stages: Sequence[Stage]) -> None:
    """Raises RunError if parts of these stages lie there: their features would be done again, or be missed."""
    found = [place for place in places(path) if place.stage in stages]
    if found:
        n = f"{len(found)} parts" if len(found) > 1 else "a part"
        raise RunError(f"{path}: holds {n} that should be merged first: autointerp merge {typed(path)}")


def _agreeing(path: Path, info: RunInfo) -> Run:
    """The run itself, which need not be there yet."""
    if not (path / "run.json").exists():
        return Run(path, info)
    run = open_run(path)
    if (differs := difference(run.binding, info)) is not None:
        raise RunError(f"{path}: {differs.what}; {differs.remedy}")
    return run


def _refuse_others(path: Path, place: Place, about: PartInfo, info: RunInfo) -> None:
    """Shards of another cut would overlap with these, or leave features out; those of two judgings would be mixed."""
    if place.stage == "score":
        refuse_unmerged(path, ("explain",))
        for part in parts_of(path):
            if (differs := difference(part.run.info, info)) is not None:
                raise RunError(f"{part.path}: {differs.what}; merge it first: autointerp merge {typed(path)}")
    there = [(part.place.of, part.info.selection) for part in parts_of(path) if part.place.stage == place.stage]
    if (split := read_splits(path).get(place.stage)) is not None:
        there.append((split.of, split.selection))
    for of, selection in there:
        if of != place.of:
            raise RunError(
                f"{path}: its {place.stage} parts are shards of {of}, not of {place.of}; give those, "
                f"or merge them and remove {path / PARTS}"
            )
        if selection != about.selection:
            other = " or by another judge" if place.stage == "score" else ""
            raise RunError(
                f"{path}: its {place.stage} parts are shards of another choice of features{other}; choose the same, "
                f"or merge them and remove {path / PARTS}"
            )
