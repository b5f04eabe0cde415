"""`autointerp report`: a run as one HTML file."""

from pathlib import Path

from autointerp.jobs.calibrated import KEPT
from autointerp.jobs.common import dump_of
from autointerp.jobs.randomised import random_scores
from autointerp.remote.path import Location
from autointerp.reports.collect import collect
from autointerp.reports.page import write_report
from autointerp.runs.folder import Run, open_run
from autointerp.scoring.calibration import Calibration, load_calibration
from autointerp.scoring.control_tests import separations
from autointerp.session import open_renderer


def report(
    run: str | Path,
    out: str | Path | None = None,
    *,
    dump: Location | None = None,
    limit: int = 200,
    title: str | None = None,
    allow_outside: bool = False,
) -> Path:
    """Writes the report and returns its path.

    Args:
        run: folder of the run.
        out: the file to write; `report.html` in the run by default.
        dump: where the run's dump is now, if it was moved.
        limit: most features with a card, at least 1; all are in the summary.
        title: stands at the top.
        allow_outside: as for `explain`.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    opened = open_run(run)
    seed = opened.info.score.settings.seed if opened.info.score is not None else 0
    source = dump_of(opened, dump, allow_outside=allow_outside)
    renderer = open_renderer(source)
    try:
        data = collect(
            opened,
            source,
            renderer,
            title,
            separations=lambda scores: separations(scores, random_scores(opened), seed=seed),
            calibration=_calibration(opened),
        )
        path = Path(out) if out is not None else opened.path / "report.html"
        return write_report(data, path, limit=limit).path
    finally:
        renderer.close()
        source.close()


def _calibration(run: Run) -> Calibration | None:
    """Returns the judge's calibration, if the scores were made with one and it is still there."""
    scored, file = run.info.score, run.path / KEPT
    known = scored is not None and scored.calibration is not None and file.exists()
    return load_calibration(file) if known else None
