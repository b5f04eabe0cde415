"""The report of a run, from its folder to one HTML file."""

from pathlib import Path

from autointerp.dump.reader import Dump
from autointerp.images.renderer import Renderer
from autointerp.reports.collect import collect
from autointerp.reports.data import ReportInfo
from autointerp.reports.page import write_report
from autointerp.runs.folder import Run
from autointerp.scoring.calibration import Calibration
from autointerp.scoring.control_tests import Separation


def build_report(
    run: Run,
    dump: Dump,
    renderer: Renderer,
    out: Path,
    *,
    separations: tuple[Separation, ...],
    calibration: Calibration | None,
    limit: int,
    title: str | None,
) -> ReportInfo:
    """Writes the report of a run as one HTML file.

    Args:
        run: the run, read while it may still grow.
        dump: the dump that the run explains.
        renderer: makes the pictures.
        out: the file to write; replaced if there.
        separations: the run's controls against its scores.
        calibration: of the run's judge, if it was calibrated.
        limit: most features that get a row and a card, at least 1.
        title: stands at the top; the run folder's name where None.

    Raises:
        DumpError: the dump lacks a feature or an image that the run names.
        RunError: a line of the run cannot be read, or the report cannot be written.
    """
    data = collect(run, dump, renderer, title, separations=separations, calibration=calibration)
    return write_report(data, out, limit=limit)
