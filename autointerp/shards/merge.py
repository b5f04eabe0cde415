"""`autointerp merge`: the parts of a run into the run, so that a kill at any moment loses and doubles nothing.

Lines are appended first, only then are parts removed. Whoever merges again leaves out what the run already has, so that
an interrupted merge is merely begun anew.
"""

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from autointerp.commands.merge import Merge
from autointerp.errors import RunError
from autointerp.job import Progress
from autointerp.lmm.images.store import FOLDER as PICTURES
from autointerp.remote.path import AnyPath
from autointerp.runs.figure_files import forget_figures
from autointerp.runs.files import locked, replace_file
from autointerp.runs.folder import Run, RunWriter, open_run
from autointerp.runs.info import RunInfo, difference, joined
from autointerp.runs.jsonl import LineFile
from autointerp.runs.parts import (
    MERGED,
    PARTS,
    Part,
    Split,
    Stage,
    open_part,
    part_path,
    places,
    put_away,
    read_splits,
    remove_empty,
    sweep,
    write_splits,
)
from autointerp.runs.segments import INDEX, join
from autointerp.scoring.judge_calibration import kept_in
from autointerp.shards.missing_lines import SETTLED, Known, missing_notes, missing_records
from autointerp.shards.remote_runs import merged_at, url_of

_LINES = 256
"""Lines handed to the operating system at once."""


@dataclass
class MergeResult:
    """What was merged, and what is still to come."""

    run: AnyPath
    merged: list[str] = field(default_factory=list)
    """Names of the parts."""
    explanations: int = 0
    scores: int = 0
    failures: int = 0
    """Lines that the run got."""
    unexplainable: Counter[str] = field(default_factory=Counter)
    """Features among them that can never be explained, by why; `failures` leaves them out."""
    missing: dict[Stage, list[str]] = field(default_factory=dict)
    """Shards that are not there or not finished, as `--shard` takes them."""
    dealt: bool = False
    """Some parts were of a command that deals shards itself, which knows what is missing when it is run again."""

    @property
    def complete(self) -> bool:
        """Whether no shard is missing."""
        return not self.missing


def merge(run: str | Path, *, keep: bool = False, patience: float = 0.0) -> MergeResult:
    """Merges all parts of a run into it; after an interruption it finishes; with nothing to merge, it does nothing.

    Where the folder is a copy of all objects of a run at a URL, its segments become files first.

    Explanations and scores stand in the order of their features, those of earlier merges first. A feature that the run
    has already is left out.

    Args:
        run: folder of the run, which need not have a run.json of its own yet.
        keep: keeps the parts, in `parts/merged/`.
        patience: seconds to wait for a part that is being written.

    Raises:
        RunError: a part has other settings than the run or than another part, is being written, or is damaged.
    """
    path = Path(run)
    if path.is_dir():
        join(path)
        forget_figures(path)
        (path / INDEX).unlink(missing_ok=True)
    if not (path / "run.json").exists() and not places(path):
        open_run(path)  # says what is wrong
    result = MergeResult(path)
    with held(path, patience) as parts:
        if not parts and not (path / "run.json").exists():
            remove_empty(path / PARTS)
            open_run(path)  # nothing was in the parts
        if parts or (path / PARTS).exists():
            with RunWriter(path, agreed(path, parts)) as writer:
                for _ in merging(writer.run, parts, result, keep=keep):
                    pass
    return result


@contextmanager
def held(run: Path, patience: float) -> Iterator[list[Part]]:
    """The parts that are not merged, locked while the context lasts; what a process left before its first record goes.

    Args:
        run: the run's folder.
        patience: seconds to wait for a part that is being written.

    Raises:
        RunError: a part is still being written then, or is not as the format says, or a file could not be read or
            written in the context.
    """
    try:
        with ExitStack() as locks:
            parts: list[Part] = []
            for place in places(run):
                path = part_path(run, place)
                busy = f"{path}: another autointerp is writing this part; wait for it, then merge"
                locks.callback(locked(path / ".lock", busy, patience).release)
                if (part := open_part(run, place)) is None:
                    put_away(run, place, keep=False)
                else:
                    parts.append(part)
            yield parts
    except OSError as e:
        raise RunError(
            f"{e.filename or run}: cannot be merged ({e.strerror or e}); the parts are kept: mend that, then run the "
            "same command again"
        ) from e


def agreed(run: Path, parts: Sequence[Part]) -> RunInfo:
    """What run.json says once the parts are merged.

    Raises:
        RunError: a part does not belong to the run, or to the other parts.
    """
    info = open_run(run).binding if (run / "run.json").exists() else parts[0].run.info
    splits = read_splits(run)
    for part in parts:
        if (differs := difference(info, part.run.info)) is not None:
            raise RunError(f"{part.path}: made with other settings: {differs.what}; remove it, or merge it elsewhere")
        info = joined(info, part.run.info)
        if part.info.dealt:
            continue
        place = part.place
        split = splits.setdefault(place.stage, Split(of=place.of, selection=part.info.selection, merged=()))
        if (split.of, split.selection) != (place.of, part.info.selection):
            raise RunError(
                f"{part.path}: a shard of another choice of features, or of another number of shards, than the others; "
                "remove it, and run its shard again"
            )
    return info


def merging(run: Run, parts: Sequence[Part], result: MergeResult, *, keep: bool) -> Iterator[str]:
    """Merges step by step; a name is given before each step, at which the process may as well be killed.

    Args:
        run: whose lock the caller holds.
        parts: as `held` gives them, agreed.
        result: is told what was done.
        keep: as for `merge`.

    Raises:
        RunError: a line of a part, or of the run, is broken.
    """
    yield from _append(run, parts, result)
    yield "calibration"
    _keep_calibration(run.path, parts)
    yield "pictures"
    _move_pictures(run.path, parts)
    yield "list"
    splits = _listed(run.path, parts)
    for part in parts:
        yield f"remove {part.place.name}"
        put_away(run.path, part.place, keep=keep)
        result.merged.append(part.place.name)
        result.dealt |= part.info.dealt
    yield "tidy"
    _tidy(run.path, splits)
    result.missing = {s: _missing(split) for s, split in splits.items() if _missing(split)}


def _append(run: Run, parts: Sequence[Part], result: MergeResult) -> Iterator[str]:
    for name in ("explanations", "scores"):
        file, known = run.path / f"{name}.jsonl", None
        for part in (p for p in parts if _size(p.path / file.name)):
            known = known or Known.of(file, notes=False)
            for n in _copied(missing_records(part.path / file.name, known), file):
                setattr(result, name, getattr(result, name) + n)
                yield f"{part.place.name}: {name}"
    for name in ("exchanges", "failures"):
        file, known = run.path / f"{name}.jsonl", None
        for part in (p for p in parts if _size(p.path / file.name)):
            known = known or Known.of(file, notes=True)
            lines = missing_notes(part.path / file.name, file, known)
            for _ in _copied(lines if name == "exchanges" else _counted(lines, result), file):
                yield f"{part.place.name}: {name}"


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _copied(lines: Iterator[bytes], file: Path) -> Iterator[int]:
    """Writes the lines at the end of a file; after each lot their number."""
    target = LineFile(file)
    try:
        while batch := list(itertools.islice(lines, _LINES)):
            target.write(b"".join(batch))
            yield len(batch)
    finally:
        target.close()


def _counted(failures: Iterator[bytes], result: MergeResult) -> Iterator[bytes]:
    """The same lines, each counted as a failure or as a feature that can never be explained."""
    for line in failures:
        if SETTLED in line:
            result.unexplainable[str(json.loads(line).get("message"))] += 1
        else:
            result.failures += 1
        yield line


def _keep_calibration(run: Path, parts: Sequence[Part]) -> None:
    for part in parts:
        for file in kept_in(part.path):
            replace_file(run / file.name, file.read_bytes())


def _move_pictures(run: Path, parts: Sequence[Part]) -> None:
    """Moves generated pictures, which are named by their content, so that whoever merges again finds fewer."""
    for part in parts:
        for file in sorted((part.path / PICTURES).glob("*/*")):
            there = run / PICTURES / file.parent.name / file.name
            there.parent.mkdir(parents=True, exist_ok=True)
            file.replace(there)


def _listed(run: Path, parts: Sequence[Part]) -> dict[Stage, Split]:
    """The shards merged so far by stage, these parts' among them."""
    splits = read_splits(run)
    for part in parts:
        if part.info.dealt:
            continue
        stage, place = part.place.stage, part.place
        split = splits.get(stage) or Split(of=place.of, selection=part.info.selection, merged=())
        # One that was finished and is run again for its failures may be stopped half-way: it counts as unfinished.
        merged = {*split.merged, place.index} if part.info.finished else {*split.merged} - {place.index}
        splits[stage] = split.model_copy(update={"merged": tuple(sorted(merged))})
    if splits:
        write_splits(run, splits)
    return splits


def _missing(split: Split) -> list[str]:
    return [f"{i}/{split.of}" for i in range(split.of) if i not in split.merged]


def _tidy(run: Path, splits: dict[Stage, Split]) -> None:
    """Removes what interrupted merges left, and the folder of parts once nothing in it matters."""
    folder = run / PARTS
    if not folder.exists():
        return
    sweep(run)
    if splits and not any(_missing(split) for split in splits.values()):
        (folder / f"{MERGED}.json").unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def run(settings: Merge, *, progress: Progress | None = None) -> MergeResult:
    """Merges the parts that are there."""
    with merged_at(settings.run) as folder:
        result = merge(folder, keep=settings.keep)
        result.run = url_of(result.run, folder, settings.run)
    return result
