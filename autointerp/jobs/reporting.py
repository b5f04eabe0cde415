"""`autointerp report`: a run as one HTML file."""

from pathlib import Path

from autointerp.jobs.calibrated import KEPT
from autointerp.jobs.common import dump_of
from autointerp.jobs.randomised import separations_of
from autointerp.remote.path import Location
from autointerp.reports.build import build_report
from autointerp.runs.folder import Run, open_run
from autointerp.scoring.calibration import Calibration, load_calibration
from autointerp.scoring.control_tests import Separation
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
        limit: most features with a card; all are in the summary.
        title: stands at the top.
        allow_outside: as for `explain`.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    opened = open_run(run)
    source = dump_of(opened, dump, allow_outside=allow_outside)
    path = Path(out) if out is not None else opened.path / "report.html"
    separations, calibration = _separations(opened), _calibration(opened)
    renderer = open_renderer(source)
    try:
        return build_report(
            opened,
            source,
            renderer,
            path,
            separations=separations,
            calibration=calibration,
            limit=limit,
            title=title,
        ).path
    finally:
        renderer.close()
        source.close()


def _separations(run: Run) -> tuple[Separation, ...]:
    return separations_of(run, seed=run.info.score.settings.seed if run.info.score is not None else 0)


def _calibration(run: Run) -> Calibration | None:
    """Of the judge, if the scores were made with one and it is still there."""
    scored, file = run.info.score, run.path / KEPT
    known = scored is not None and scored.calibration is not None and file.exists()
    return load_calibration(file) if known else None
