"""`autointerp report`: a run as one HTML file."""

from pathlib import Path

from autointerp.commands.report import Report
from autointerp.errors import SettingsError, typed
from autointerp.job import Progress, dump_of
from autointerp.remote.path import as_path
from autointerp.reports import page
from autointerp.reports.collect import collect
from autointerp.reports.data import ReportInfo
from autointerp.runs.folder import Run, open_run
from autointerp.runs.judgings import judged_by
from autointerp.scoring.calibration import Calibration, load_calibration
from autointerp.scoring.control_tests import separations
from autointerp.scoring.judge_calibration import kept_at
from autointerp.scoring.random_weights_control import random_scores
from autointerp.session.gateway import open_renderer
from autointerp.shards.remote_runs import read_run, run_at

LARGE = 2_000
"""Features of a run of which one file shows too few, or grows too large for a browser."""


def write_report(o: "Report", run: Path, progress: Progress | None = None) -> Path:
    """Writes the report of a run's folder and returns its path; says so where the run is too large for one file.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    opened = judged_by(open_run(run), o.judge)
    tests_seed = opened.stage.settings.seed if opened.stage is not None else 0
    source = dump_of(opened, o.dump, allow_outside=o.allow_outside)
    renderer = open_renderer(source)
    try:
        data = collect(
            opened,
            source,
            renderer,
            o.title,
            separations=lambda scores: separations(scores, random_scores(opened), seed=tests_seed),
            calibration=calibration_of(opened),
        )
        path = o.out or opened.path / "report.html"
        seed = None if o.sample is None else o.seed
        made = page.write_report(data, path, limit=o.sample or o.limit, seed=seed)
        if made.features > LARGE and progress is not None:
            progress.note(too_large(o, made))
        return made.path
    finally:
        renderer.close()
        source.close()


def too_large(o: "Report", made: ReportInfo) -> str:
    """What can be done where a run is too large for one file, in a line."""
    sampled = "" if o.sample else f"--sample {LARGE} shows a random sample, stratified by score; "
    return (
        f"note: the run has {made.features:,} features and the page shows {made.cards:,}; {sampled}"
        f"all of them are in autointerp export {typed(o.run)} --to site"
    )


def calibration_of(run: Run) -> Calibration | None:
    """Returns the judge's calibration, if the scores were made with one and it is still there."""
    scored, file = run.stage, kept_at(run.path, run.judging)
    known = scored is not None and scored.calibration is not None and file.exists()
    return load_calibration(file) if known else None


def _refuse_idle(o: Report) -> None:
    """Refuses options that mean nothing beside the others."""
    if o.sample is None and "seed" in o.model_fields_set:
        raise SettingsError("--seed: goes with --sample; leave it out")
    if o.sample is not None and "limit" in o.model_fields_set:
        raise SettingsError("--limit with --sample: each says how many features have a card; leave one of them out")


def run(settings: Report, *, progress: Progress | None = None) -> Path | str:
    """Writes the report and returns its path, or its URL for a run at a URL.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    _refuse_idle(settings)
    place = as_path(settings.run)
    with read_run(place) if settings.out else run_at(place) as folder:
        made = write_report(settings, folder, progress)
    return made if settings.out or isinstance(place, Path) else f"{place}/{made.name}"
