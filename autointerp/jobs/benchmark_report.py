"""`autointerp benchmark report`: a result as a page, tables and plots."""

from pathlib import Path
from typing import NamedTuple

from autointerp.commands.benchmark_report import BenchmarkReport
from autointerp.counting import Counting
from autointerp.exports.target import written
from autointerp.generators.result import OpenedResult, open_result
from autointerp.reports.benchmark_page import page_of
from autointerp.reports.benchmark_plots import plots_of
from autointerp.reports.benchmark_tables import write_tables

PAGE, TABLES, PLOTS = "report.html", "tables", "plots"


class Reported(NamedTuple):
    """Is what `benchmark report` wrote."""

    opened: OpenedResult
    out: Path
    files: tuple[str, ...]
    """Below `out`."""
    size: int
    """Bytes of the page."""
    missing: int
    """Pictures that are named and not there."""


def run(settings: BenchmarkReport, *, progress: Counting | None = None) -> Reported:
    """Writes the page, the tables and the plots of a result.

    Raises:
        SettingsError: there is no result, or the folder cannot be written.
    """
    opened = open_result(settings.result)
    out = settings.out or settings.result / "report"
    with written(out, folder=True, overwrite=settings.overwrite) as draft:
        plots = plots_of(opened.result)
        page = page_of(opened, settings.title or f"Generators by their failures: {settings.result.name}", plots)
        size = (draft / PAGE).write_bytes(page.html.encode("utf-8", "xmlcharrefreplace"))
        for folder in (TABLES, PLOTS):
            (draft / folder).mkdir()
        files = [f"{TABLES}/{name}" for name in write_tables(opened.result, draft / TABLES)]
        for name, drawing in plots.items():
            (draft / PLOTS / f"{name}.svg").write_text(drawing.svg() + "\n", encoding="utf-8")
            (draft / PLOTS / f"{name}.png").write_bytes(drawing.png())
            files += [f"{PLOTS}/{name}.svg", f"{PLOTS}/{name}.png"]
    return Reported(opened, out, (PAGE, *files), size, page.missing)
