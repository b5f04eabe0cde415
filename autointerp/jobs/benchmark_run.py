"""`autointerp benchmark run`: the images of several generators through a pack, once each, to a result."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autointerp.clock import now
from autointerp.commands.benchmark_run import BenchmarkRun
from autointerp.counting import Counting, Uncounted, counted
from autointerp.errors import SettingsError, excerpt
from autointerp.generators.assembled import Study, Word, compared_pairs, ranks, sets_of
from autointerp.generators.comparison import LEAST, images_of
from autointerp.generators.encoding import Batch, Reader, fingerprint, open_reader
from autointerp.generators.kept import FOLDER, Kept, Row
from autointerp.generators.pack import OpenedPack, open_pack
from autointerp.generators.pictures import put_picture
from autointerp.generators.records import Pack
from autointerp.generators.result import write_images, write_result
from autointerp.generators.results import Judging, Made, ModeRef, PackRef, Result
from autointerp.generators.sets import (
    ImageSet,
    check_sizes,
    clusters_of,
    from_folder,
    from_manifest,
    named_folders,
)
from autointerp.generators.strongest import strongest_of
from autointerp.generators.verdicts import Asked, Key, drawn, looked, read_verdicts, write_questions
from autointerp.images.manifest import Manifest
from autointerp.jobs.benchmark_judge import judged_by_model
from autointerp.pipeline import Stop
from autointerp.places import cache_folder
from autointerp.populations.images import PopulationImage
from autointerp.transcoder.files import locked_folder
from autointerp.version import __version__

AT_ONCE = 256
"""Images of a file of what is kept: what a kill loses at most."""
QUESTIONS, SHOWN = "to-judge.csv", "to-judge"
"""The table for a person, and its pictures."""


class Ran(NamedTuple):
    """Is what `benchmark run` found."""

    out: Path
    result: Result
    n_before: int
    """Images that an earlier run had run."""
    n_run: int


@dataclass(frozen=True)
class _Opened:
    """A benchmark whose images are found."""

    settings: BenchmarkRun
    opened: OpenedPack
    sets: list[ImageSet]
    reader: Reader
    said: dict[Key, float]

    @property
    def pack(self) -> Pack:
        """Returns the pack that was opened."""
        return self.opened.pack


def run(settings: BenchmarkRun, *, progress: Counting | None = None) -> Ran:
    """Runs the images that were not run yet, and compares the generators.

    Raises:
        SettingsError: something that you can mend; the message says how.
    """
    progress = progress or Uncounted()
    opened = _open(settings, progress)
    out, pack = settings.out, opened.pack
    lock = locked_folder(out, "another process works on this result; wait for it")
    try:
        by = fingerprint(opened.reader)
        n_features, n_controls = len(pack.features), len(pack.controls)
        kept = Kept(out / FOLDER, opened.opened.digest, by, n_features, n_controls)
        n_before, n_run = _run_images(opened, kept, progress)
        result = _result(opened, kept, by, progress)
        write_result(out, result)
        return Ran(out, result, n_before, n_run)
    finally:
        lock.release()


def _open(settings: BenchmarkRun, progress: Counting) -> _Opened:
    """Reads and checks all that is given, before anything is written."""
    opened = open_pack(settings.pack)
    said = {} if settings.verdicts is None else read_verdicts(settings.verdicts, [m.id for m in opened.pack.modes])
    _check_out(settings.out)
    sets = _sets(settings, progress)
    names = [s.name for s in sets]
    if settings.reference is not None and settings.reference not in names:
        raise SettingsError(f"--reference {settings.reference}: is none of the names given: {', '.join(names)}")
    if len(names) < 2:
        raise SettingsError("--images: a benchmark compares; name at least two generators, or one and a --reference")
    if not settings.mixed_sizes:
        check_sizes(sets, settings.reference)
    name = opened.pack.backbone.name
    if settings.backbone is None and ":" in name:
        progress.note(f"the network is {excerpt(name)}, as the pack says; it is downloaded unless it is here already")
    reader = open_reader(opened, backbone=settings.backbone, batch=settings.batch, device=settings.device)
    return _Opened(settings, opened, sets, reader, said)


def _check_out(out: Path) -> None:
    if not out.absolute().parent.is_dir():
        raise SettingsError(f"--out {out}: there is no folder {out.parent}; make it, or name another place")
    if out.exists() and not out.is_dir():
        raise SettingsError(f"--out {out}: is no folder; name another place")
    # A run that was stopped early leaves its lock alone; runs and harvests have a lock of that name too.
    if out.is_dir() and not (out / FOLDER).is_dir() and any(p.name != ".lock" for p in out.iterdir()):
        raise SettingsError(f"--out {out}: holds other things than a result; name another folder")


def _sets(settings: BenchmarkRun, progress: Counting) -> list[ImageSet]:
    pairs, manifest = named_folders(settings.images), Manifest(cache_folder(settings.cache))
    if settings.manifest is not None and settings.paired_names:
        raise SettingsError("--paired-names: goes with --images; a manifest has a column prompt")
    sets = [
        from_folder(
            name,
            place,
            paired=settings.paired_names,
            manifest=manifest,
            progress=counted(progress, f"files of {name} read"),
        )
        for name, place in pairs
    ]
    if settings.manifest is not None:
        told = counted(progress, "files read")
        sets += from_manifest(settings.manifest, manifest=manifest, progress=told)
    if not sets:
        raise SettingsError("--images: name the images of each generator, as NAME=FOLDER, or give a --manifest")
    names = [s.name for s in sets]
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise SettingsError(f"--manifest: {twice} is named by --images too; give each generator once")
    return sets


def _run_images(o: _Opened, kept: Kept, progress: Counting) -> tuple[int, int]:
    """Runs what is not kept yet; returns how many images were kept before, and how many were run now."""
    left: dict[str, PopulationImage] = {}
    everything = [image for one in o.sets for image in one.images]
    for image in everything:
        if image.sha256 not in kept:
            left.setdefault(image.sha256, image)
    distinct, stop = len({i.sha256 for i in everything}), Stop()
    before = distinct - len(left)
    if before:
        progress.note(f"{before:,} of {distinct:,} images were run before")
    images, waiting, done = list(left.values()), list[Row](), before
    with stop.on_interrupt_without_loop():
        for batch in o.reader.batches(images):
            waiting += _rows(o.pack, batch)
            done += len(batch.images)
            progress.count("images run", done, distinct)
            if len(waiting) >= AT_ONCE or stop.reason is not None:
                kept.add(waiting)
                waiting = []
            if stop.reason is not None:
                raise KeyboardInterrupt
        kept.add(waiting)
    return before, len(images)


def _rows(pack: Pack, batch: Batch) -> Iterator[Row]:
    """What is kept of a batch: of each mode that is on, the heat map of its strongest feature."""
    n = len(pack.features)
    peaks, thresholds = batch.peaks[:, :n], np.array(pack.thresholds, np.float32)
    controls = batch.peaks[:, n:] > thresholds[n:]
    shown = sorted({(i, c) for mode_on in _on(pack, peaks, thresholds) for i, c in mode_on})
    images, columns = (np.array([pair[k] for pair in shown], np.int64) for k in (0, 1))
    heats = dict(zip(shown, batch.heats(images, columns), strict=True))
    for i, image in enumerate(batch.images):
        own = {column: heat for (at, column), heat in heats.items() if at == i and heat}
        yield Row(image.sha256, peaks[i], controls[i], own)


def _on(pack: Pack, peaks: np.ndarray, thresholds: np.ndarray) -> Iterator[list[tuple[int, int]]]:
    """For each mode, the images on which it is on and the column of its strongest feature there."""
    place = {f.feature: i for i, f in enumerate(pack.features)}
    for mode in pack.modes:
        columns = np.array([place[f] for f in mode.features])
        ratio = peaks[:, columns] / thresholds[columns]
        on = np.flatnonzero(ratio.max(axis=1) > np.float32(mode.level))
        yield [(int(i), int(columns[int(np.argmax(ratio[i]))])) for i in on]


def _result(o: _Opened, kept: Kept, by: str, progress: Counting) -> Result:
    settings, pack, how = o.settings, o.pack, o.settings.comparing
    study, judging = _study(o, kept, progress)
    strongest = strongest_of(study, kept, settings.out, how.strongest, o.reader.grid, progress)
    best, by_judge = ranks(study)
    write_images(settings.out, study)
    return Result(
        pack=_pack_ref(o.opened),
        made=Made(
            seed=how.seed,
            replicates=how.replicates,
            level=how.level,
            least=LEAST,
            by=f"autointerp {__version__}, {by}",
            created=now(),
        ),
        reference=settings.reference or f"held-out images of the pack without {pack.held_out.attribute!r}",
        modes=tuple(
            ModeRef(
                id=m.id,
                name=m.name,
                category=m.category,
                n_features=len(m.features),
                with_attribute=m.with_attribute,
                without_attribute=m.without_attribute,
            )
            for m in pack.modes
        ),
        sets=sets_of(study),
        pairs=compared_pairs(study),
        ranks=best,
        ranked_by="judged" if by_judge else "fired",
        strongest=tuple(strongest),
        judging=judging,
        notes=pack.notes,
    )


def _study(o: _Opened, kept: Kept, progress: Counting) -> tuple[Study, Judging | None]:
    """Says what fires in each image, has a sample judged, and takes in what is said of it."""
    settings = o.settings
    clusters = clusters_of(o.sets)
    images = []
    for one, own in zip(o.sets, clusters, strict=True):
        peaks, controls = kept.peaks([i.sha256 for i in one.images])
        images.append(images_of(o.pack, one.name, peaks, controls, own, reference=one.name == settings.reference))
    study = Study(
        pack=o.pack,
        sets=o.sets,
        images=images,
        words={},
        seed=settings.comparing.seed,
        replicates=settings.comparing.replicates,
    )
    asked = list(_sample(o, study))
    said = _answers(o, asked, progress)
    words = _words(asked, said)
    return replace(study, words=words), _judging(o, words, asked, said)


def _answers(o: _Opened, asked: Sequence[Asked], progress: Counting) -> Mapping[Key, float]:
    """Takes what was said of the sample, asks the model that is named about the rest, and writes what is left to ask.

    Raises:
        SettingsError: no answer that was given is about the sample, or the model does not answer.
    """
    settings, said = o.settings, dict(o.said)
    if said and said.keys().isdisjoint(one.key for one in asked):
        raise SettingsError(
            f"--verdicts {settings.verdicts}: none of its {len(said):,} answers is about an image of the sample; give "
            f"the {QUESTIONS} of a run over these images with the same --seed, --judge-fired and --judge-silent"
        )
    known = {i.sha256: i for one in o.sets for i in one.images}
    if settings.judge.model is not None:
        left = [one for one in asked if one.key not in said]
        said = judged_by_model(settings, o.opened.digest, left, known, progress) | said
    waiting = sorted({one.sha256 for one in asked if one.key not in said})
    pictures = _shown(settings, [known[sha] for sha in waiting], progress)
    aside = write_questions(settings.out / QUESTIONS, asked, said, pictures)
    if aside is not None:
        progress.note(f"{aside}: is the table of questions that was there, with answers that were not given here")
    return said


def _shown(settings: BenchmarkRun, images: Sequence[PopulationImage], progress: Counting) -> dict[str, str]:
    """Writes pictures for a person to look at, whose names do not tell the generator; returns them by SHA-256."""
    side, names = settings.judged.side, dict[str, str]()
    for done, image in enumerate(images, start=1):
        names[image.sha256] = f"{SHOWN}/{image.sha256[:32]}-{side}.jpg"
        put_picture(settings.out / names[image.sha256], image, side)
        progress.count("pictures for a judge made", done, len(images))
    return names


def _sample(o: _Opened, study: Study) -> Iterator[Asked]:
    """The images that a judge is asked about."""
    judged, seed = o.settings.judged, o.settings.comparing.seed
    for one, images in zip(study.sets, study.images, strict=True):
        shas = [i.sha256 for i in one.images]
        for m, mode in enumerate(o.pack.modes):
            on = images.on[:, m]
            sides = drawn(shas, on, mode.id, n_fired=judged.n_fired, n_silent=judged.n_silent, seed=seed)
            for i in (i for side in sides for i in side.tolist()):
                yield Asked(one.name, shas[i], mode.id, mode.name, bool(on[i]))


def _words(asked: Sequence[Asked], said: Mapping[Key, float]) -> dict[tuple[str, str], Word]:
    """Counts what was said of each set and mode; those of which nothing was are left out."""
    words: dict[tuple[str, str], Word] = {}
    parts: dict[tuple[str, str], list[Asked]] = {}
    for one in asked:
        parts.setdefault((one.generator, one.mode), []).append(one)
    for key, own in parts.items():
        fired, silent = (looked([a for a in own if a.on == on], said) for on in (True, False))
        if fired[0].n + silent[0].n:
            words[key] = Word(fired[0], silent[0], fired[1] + silent[1])
    return words


def _judging(
    o: _Opened, words: Mapping[tuple[str, str], Word], asked: Sequence[Asked], said: Mapping[Key, float]
) -> Judging | None:
    if not words:
        return None
    who = [o.settings.judge.model, None if o.settings.verdicts is None else f"the table {o.settings.verdicts.name}"]
    return Judging(
        judge=" and ".join(w for w in who if w is not None),
        n_judged=sum(w.fired.n + w.silent.n for w in words.values()),
        n_unsure=sum(said.get(one.key) == 0.5 for one in asked),
        n_missing=sum(w.missing for w in words.values()),
    )


def _pack_ref(opened: OpenedPack) -> PackRef:
    pack = opened.pack
    return PackRef(
        name=pack.name,
        digest=opened.digest,
        attribute=pack.held_out.attribute,
        backbone=f"{pack.backbone.name} {pack.backbone.digest[:12]}",
        coder=f"{pack.coder.source} {pack.coder.digest[:12]}, reads {pack.coder.reads}",
        n_controls=len(pack.controls),
        measured_on=pack.held_out.n_measuring,
    )
