"""Parts of a run on disk: run folders inside the run's own, each written by one process for one shard of features."""

import hashlib
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt, TypeAdapter, ValidationError

from autointerp.errors import RunError
from autointerp.reading import read_json
from autointerp.record import Record
from autointerp.remote.path import local_path
from autointerp.runs.files import replace_file
from autointerp.runs.folder import Run, open_run
from autointerp.runs.index import Ints
from autointerp.runs.info import FIRST, joined
from autointerp.runs.score_lines import SCORE
from autointerp.schema import Explanation, FailureRecord, Scored, Unscored

Stage = Literal["explain", "score"]

PARTS = "parts"
"""Inside the run's folder."""
MERGED = "merged"
"""Inside that: parts that were kept after merging, and beside it the list of those merged."""
PART_FILE = "part.json"
_GONE = ".gone-"
_NAME = re.compile(r"(explain|score)-(\d{5,})-of-(\d{5,})")


@dataclass(frozen=True, slots=True)
class Place:
    """Which of the shards of a stage a part holds."""

    stage: Stage
    index: int
    """From 0."""
    of: int

    @property
    def name(self) -> str:
        """Returns the name of the part's folder."""
        return f"{self.stage}-{self.index:05d}-of-{self.of:05d}"


class PartInfo(Record):
    """part.json: which features the shards together are of, and how far this one is."""

    selection: str
    """First 16 hex digits of the SHA-256 over the ids of all shards' features, which all parts of a split share, and
    over the name of the judging where it is not the first."""
    features: int = Field(ge=0)
    """Of this shard."""
    dealt: bool = False
    """One process cut the features, dealt the shards to workers and merges them; else somebody starts each shard."""
    finished: bool = False
    """Every feature of the shard was tried; those that failed stay pending."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part as it is on disk."""

    place: Place
    info: PartInfo
    run: Run

    @property
    def path(self) -> Path:
        """Returns the folder of the part."""
        return self.run.path


class Split(Record):
    """Of a stage cut into shards: what has been merged so far."""

    of: PositiveInt
    selection: str
    merged: tuple[int, ...]
    """Shards, ascending."""


def digest_of(ids: Ints, judging: str = FIRST) -> str:
    """How part.json names a choice of features, and the judging that they are scored by."""
    digest = hashlib.sha256(np.ascontiguousarray(ids, np.int64).data)
    digest.update(judging.encode())
    return digest.hexdigest()[:16]


def places(run: Path) -> list[Place]:
    """Where there are parts that are not merged; by stage and shard."""
    folder = run / PARTS
    found = [_NAME.fullmatch(p.name) for p in folder.iterdir()] if folder.is_dir() else []
    out = [Place(_stage(m[1]), int(m[2]), int(m[3])) for m in found if m]
    return sorted(out, key=lambda p: (p.stage, p.of, p.index))


def part_path(run: Path, place: Place) -> Path:
    """The folder of a part."""
    return run / PARTS / place.name


def open_part(run: Path, place: Place) -> Part | None:
    """A part; None where its process has not got as far as stating what it is.

    Raises:
        RunError: run.json or part.json is not as the format says.
    """
    path = part_path(run, place)
    if not (path / PART_FILE).exists() or not (path / "run.json").exists():
        return None
    try:
        info = PartInfo.model_validate_json((path / PART_FILE).read_bytes())
    except (OSError, ValidationError) as e:
        raise RunError(f"{path / PART_FILE}: cannot be read; remove the folder and run its shard again") from e
    return Part(place, info, open_run(path))


def parts_of(run: Path) -> Iterator[Part]:
    """The parts that are not merged, by stage and shard.

    Raises:
        RunError: one of them is not as the format says.
    """
    for place in places(run):
        if (part := open_part(run, place)) is not None:
            yield part


def write_part(path: Path, info: PartInfo) -> None:
    """Replaces part.json in one step."""
    replace_file(path / PART_FILE, info.model_dump_json(indent=2).encode() + b"\n")


def put_away(run: Path, place: Place, *, keep: bool) -> None:
    """Removes a part, or keeps it among the merged ones; in one step, since half a part looks like a smaller one."""
    path = part_path(run, place)
    if keep:
        folder = path.parent / MERGED
        folder.mkdir(exist_ok=True)
        again = itertools.chain([""], (f"~{i}" for i in itertools.count(2)))
        path.rename(next(p for end in again if not (p := folder / f"{place.name}{end}").exists()))
        return
    away = path.with_name(f"{_GONE}{place.name}")
    shutil.rmtree(away, ignore_errors=True)
    path.rename(away)
    shutil.rmtree(away, ignore_errors=True)


def sweep(run: Path) -> None:
    """Removes what is left of parts whose removal was interrupted."""
    for away in (run / PARTS).glob(f"{_GONE}*"):
        shutil.rmtree(away, ignore_errors=True)


def read_splits(run: Path) -> dict[Stage, Split]:
    """What has been merged of stages whose shards are not all there yet.

    Raises:
        RunError: the list is not as it was written.
    """
    file = run / PARTS / f"{MERGED}.json"
    if not file.exists():
        return {}
    try:
        said = read_json(file.read_bytes())
        if not isinstance(said, dict):
            raise ValueError
        return {_stage(stage): Split.model_validate(split) for stage, split in said.items()}
    except (OSError, ValueError) as e:
        raise RunError(f"{file}: cannot be read; remove it, and take no notice of shards that are said to miss") from e


def write_splits(run: Path, splits: dict[Stage, Split]) -> None:
    """Replaces the list of what has been merged in one step."""
    text = json.dumps({stage: split.model_dump() for stage, split in splits.items()}, indent=2)
    replace_file(run / PARTS / f"{MERGED}.json", text.encode() + b"\n")


def settle_split(run: Path, stage: Stage, selection: str) -> None:
    """Forgets which shards of this choice of features are missing: all its features were tried without them."""
    splits = read_splits(run)
    split = splits.get(stage)
    if split is None or split.selection != selection:
        return
    del splits[stage]
    if splits:
        write_splits(run, splits)
    else:
        (run / PARTS / f"{MERGED}.json").unlink()
        remove_empty(run / PARTS)


def remove_empty(folder: Path) -> None:
    """Removes a folder in which nothing is, if it is there."""
    with suppress(OSError):
        folder.rmdir()


def _stage(text: str) -> Stage:
    return "explain" if text == "explain" else "score"


class WithParts(Run):
    """Reads the run's own records, then those of its parts that it has not.

    Args:
        run: the run itself; where it has no folder yet, it has no records.
        parts: that are not merged.
    """

    def __init__(self, run: Run, parts: list[Part]) -> None:
        super().__init__(run.path, reduce(joined, (part.run.info for part in parts), run.info))
        self._parts = [part.run for part in parts]

    @property
    def folders(self) -> tuple[Path, ...]:
        """The run itself, then its parts."""
        return (self.path, *(part.path for part in self._parts))

    def explanations(self) -> Iterator[Explanation]:
        """In the order they were written; the last of a feature holds."""
        known: set[int] = set()
        for explanation in super().explanations():
            known.add(explanation.feature)
            yield explanation
        for part in self._parts:
            yield from (e for e in part.explanations() if e.feature not in known)

    def all_scores(self, lines: TypeAdapter[Scored | Unscored] = SCORE) -> Iterator[Scored | Unscored]:
        """Those of every judging, in the order they were written."""
        known: set[tuple[int, str, str]] = set()
        for score in super().all_scores(lines):
            known.add((score.feature, score.scorer, score.judging))
            yield score
        for part in self._parts:
            yield from (s for s in part.all_scores(lines) if (s.feature, s.scorer, s.judging) not in known)

    def failures(self) -> Iterator[FailureRecord]:
        """Every failure there ever was, also of features that succeeded later."""
        yield from super().failures()
        for part in self._parts:
            yield from part.failures()

    def explained(self) -> Ints:
        """Ids of the features that have an explanation, ascending."""
        return np.unique(np.concatenate([super().explained(), *(part.explained() for part in self._parts)]))

    def scored(self, scorer: str) -> Ints:
        """Ids of the features that have a score, or a reason for none, by this scorer and judging; ascending."""
        parts = (part.of_judging(self.judging).scored(scorer) for part in self._parts)
        return np.unique(np.concatenate([super().scored(scorer), *parts]))


def open_with_parts(path: str | Path) -> Run:
    """Reads a run folder and what of its shards is not merged yet.

    Raises:
        RunError: no such folder, or not one of this format.
    """
    path = local_path(path)
    parts = list(parts_of(path))
    if not parts:
        return open_run(path)
    own = open_run(path) if (path / "run.json").exists() else Run(path, parts[0].run.info)
    return WithParts(own, parts)
