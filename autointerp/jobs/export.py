"""`autointerp export`: a run in a form that other tools read."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from autointerp.commands.export import Export, Form
from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.exports.crops import Crops
from autointerp.exports.datasette import write_datasette
from autointerp.exports.flat_files import write_csv, write_parquet
from autointerp.exports.neuronpedia import check_names, write_neuronpedia
from autointerp.exports.site import About, write_site
from autointerp.exports.table import FeatureTable, Written
from autointerp.exports.target import check_target, written
from autointerp.images.threads import worker_threads
from autointerp.job import Progress, dump_of
from autointerp.jobs.report import calibration_of
from autointerp.remote.path import as_path
from autointerp.reports.collect import besides, facts_of, notes_of
from autointerp.reports.controls import Banner, banner_of
from autointerp.runs.folder import Run
from autointerp.runs.jsonl import read_lines
from autointerp.runs.judgings import judged_by
from autointerp.runs.parts import open_with_parts, places
from autointerp.runs.score_lines import FIGURES
from autointerp.schema import Scored, Unscored
from autointerp.scoring.control_tests import SCORER as CONTROLLED
from autointerp.scoring.control_tests import separations
from autointerp.scoring.random_weights_control import random_scores
from autointerp.session.gateway import open_renderer
from autointerp.shards.remote_runs import read_run

NAMES: Mapping[Form, str] = {
    "csv": "features.csv",
    "parquet": "features.parquet",
    "datasette": "features.db",
    "neuronpedia": "neuronpedia",
    "site": "site",
}
"""What is written in the run's folder where no place is named."""
FOLDERS: tuple[Form, ...] = ("neuronpedia", "site")
"""The forms that are a folder."""
OF_FORMS: Mapping[str, tuple[Form, ...]] = {
    "pictures": ("datasette", "site"),
    "title": ("site",),
    "model_id": ("neuronpedia",),
    "source": ("neuronpedia",),
}
"""The options that some forms alone use, by their fields."""
SIDE = 112
"""Longest side of a picture in pixels."""
THREADS = 4


@dataclass(frozen=True, slots=True)
class Exported:
    """Says what was written."""

    out: Path
    features: int
    left_out: int
    """Features that the form has no place for."""
    broken: int
    """Pictures that could not be made."""
    unmerged: int
    """Parts of shards that are not merged; what is in them was written too."""


def run(settings: Export, *, progress: Progress | None = None) -> Exported:
    """Writes a run in the form asked for.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    out, folder = _place(settings), settings.to in FOLDERS
    _refuse_idle(settings)
    check_target(out, folder=folder, overwrite=settings.overwrite)
    with ExitStack() as held:
        opened = judged_by(open_with_parts(held.enter_context(read_run(settings.run))), settings.judge)
        dump = held.enter_context(dump_of(opened, settings.dump, allow_outside=settings.allow_outside))
        _refuse_inside(out, dump)
        # A page has no room for several.
        table = FeatureTable(opened, dump, alone=settings.judge is not None or settings.to == "site")
        with written(out, folder=folder, overwrite=settings.overwrite) as draft:
            done = _write(settings, table, draft)
        return Exported(out, done.features, done.left_out, done.broken, len(places(opened.path)))


def _refuse_idle(settings: Export) -> None:
    """Checks what some forms alone use, before any work is done."""
    for name, forms in OF_FORMS.items():
        given = name in settings.model_fields_set and getattr(settings, name) is not None
        if given and settings.to not in forms:
            used = " and ".join(f"--to {form}" for form in forms)
            raise SettingsError(f"--{name.replace('_', '-')}: is for {used} alone; leave it out")
    if settings.to == "neuronpedia":
        check_names(settings.model_id, settings.source)


def _place(settings: Export) -> Path:
    """Where to write: as asked for, else in the run."""
    if settings.out is not None:
        return settings.out
    folder = as_path(settings.run)
    if not isinstance(folder, Path):
        raise SettingsError(f"--out: is needed for a run at a URL, such as --out {NAMES[settings.to]}")
    # A run that is not there is told of by whoever opens it.
    return folder / NAMES[settings.to] if folder.is_dir() else Path(NAMES[settings.to])


def _refuse_inside(out: Path, dump: Dump) -> None:
    """Raises SettingsError where the export would lie in the dump, which is never written to."""
    if isinstance(dump.path, Path) and dump.path.resolve() in out.resolve().parents:
        raise SettingsError(f"--out {out}: lies in the dump {dump.path}; name a place beside it")


def _write(settings: Export, table: FeatureTable, out: Path) -> Written:
    match settings.to:
        case "csv":
            return write_csv(table, out)
        case "parquet":
            return write_parquet(table, out)
        case "neuronpedia":
            model_id, source = check_names(settings.model_id, settings.source)
            return write_neuronpedia(table, out, model_id=model_id, source=source)
        case "site":
            with _crops(table) as crops:
                return write_site(table, out, crops, n_pictures=settings.pictures, about=_about(settings, table))
        case "datasette":
            with _crops(table) as crops:
                facts = facts_of(table.run.seen, table.dump, calibration_of(table.run))
                return write_datasette(table, out, crops, n_images=settings.pictures, facts=facts)


def _about(settings: Export, table: FeatureTable) -> About:
    """What the site says of the run as a whole."""
    run, calibration = table.run, calibration_of(table.run)
    title = settings.title or as_path(settings.run).name
    facts = facts_of(run.seen, table.dump, calibration)
    notes = (*besides(run), *notes_of(run.seen, table.dump, calibration))
    return About(title, facts, notes, _banner(run) if table.prefixes else None)


def _banner(run: Run) -> Banner:
    """Says whether the explanations beat their controls, as the report does."""
    seed = run.stage.settings.seed if run.stage is not None else 0
    asked: set[str] = set()

    def scores() -> Iterator[Scored | Unscored]:
        # The run's own lines are read last, since the last of a feature holds.
        for folder in reversed(run.folders):
            for score in read_lines(folder / "scores.jsonl", FIGURES):
                if score.judging != run.judging:
                    continue
                if score.scorer == CONTROLLED:
                    asked.add(score.status)
                yield score

    found = separations(scores(), random_scores(run), seed=seed)
    return banner_of(found, all_unscored=asked == {"unscored"})


@contextmanager
def _crops(table: FeatureTable) -> Iterator[Crops]:
    """Makes pictures of the features as long as the context lasts."""
    renderer = open_renderer(table.dump)
    try:
        with worker_threads(THREADS) as threads:
            yield Crops(table.dump, renderer, threads, table.run.info.explain.settings.region, SIDE)
    finally:
        renderer.close()
