"""`autointerp benchmark report`: what a benchmark found as a page, tables and plots."""

from pathlib import Path
from typing import Annotated

from autointerp.options import Argument, Command, Option, Work


class BenchmarkReport(Command):
    """Write what a benchmark found as one HTML page, with every figure as a table and every plot as a file.

    Beside report.html there are tables/ with CSV and Parquet files and figures.json, and plots/ with SVG and PNG files.

    Example: `autointerp benchmark report a-b`
    """

    result: Annotated[Path, Argument()]
    """The folder of a result."""
    out: Annotated[Path | None, Argument(option=True), Option(default="RESULT/report")] = None
    """The folder that is written."""
    overwrite: bool = False
    """Replace what an earlier report wrote there."""
    title: str | None = None
    """The title of the page."""


benchmark_report = Work(BenchmarkReport, "autointerp.jobs.benchmark_report:run")
