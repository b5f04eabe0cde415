"""`autointerp report`: a run as one HTML file."""

from pathlib import Path

from autointerp.commands.report import Report
from autointerp.job import Progress, dump_of
from autointerp.remote.path import as_path
from autointerp.reports import page
from autointerp.reports.collect import collect
from autointerp.runs.folder import Run, open_run
from autointerp.scoring.calibration import Calibration, load_calibration
from autointerp.scoring.control_tests import separations
from autointerp.scoring.judge_calibration import KEPT
from autointerp.scoring.random_weights_control import random_scores
from autointerp.session.gateway import open_renderer
from autointerp.shards.remote_runs import read_run, run_at


def write_report(o: "Report", run: Path) -> Path:
    """Writes the report of a run's folder and returns its path.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    opened = open_run(run)
    seed = opened.info.score.settings.seed if opened.info.score is not None else 0
    source = dump_of(opened, o.dump, allow_outside=o.allow_outside)
    renderer = open_renderer(source)
    try:
        data = collect(
            opened,
            source,
            renderer,
            o.title,
            separations=lambda scores: separations(scores, random_scores(opened), seed=seed),
            calibration=_calibration(opened),
        )
        path = o.out or opened.path / "report.html"
        return page.write_report(data, path, limit=o.limit).path
    finally:
        renderer.close()
        source.close()


def _calibration(run: Run) -> Calibration | None:
    """Returns the judge's calibration, if the scores were made with one and it is still there."""
    scored, file = run.info.score, run.path / KEPT
    known = scored is not None and scored.calibration is not None and file.exists()
    return load_calibration(file) if known else None


def run(settings: Report, *, progress: Progress | None = None) -> Path | str:
    """Writes the report and returns its path, or its URL for a run at a URL."""
    place = as_path(settings.run)
    with read_run(place) if settings.out else run_at(place) as folder:
        made = write_report(settings, folder)
    return made if settings.out or isinstance(place, Path) else f"{place}/{made.name}"
