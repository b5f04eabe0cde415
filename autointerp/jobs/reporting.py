"""`autointerp report`: a run as one HTML file."""

from pathlib import Path

from autointerp.jobs.common import dump_of
from autointerp.reports.build import build_report
from autointerp.runs.folder import open_run
from autointerp.session import open_renderer


def report(
    run: str | Path,
    out: str | Path | None = None,
    *,
    dump: Path | None = None,
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
    renderer = open_renderer(source)
    try:
        return build_report(opened, source, renderer, path, limit=limit, title=title).path
    finally:
        renderer.close()
        source.close()
