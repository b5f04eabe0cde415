"""`autointerp demo`: the whole job on the bundled dump."""

from pathlib import Path
from typing import NamedTuple

from autointerp.commands.demo import Demo
from autointerp.commands.explain import Explain
from autointerp.commands.report import Report
from autointerp.commands.score import Score
from autointerp.job import JobResult, Progress
from autointerp.jobs import explain as explaining
from autointerp.jobs import report as reporting
from autointerp.jobs import score as scoring


class Demonstrated(NamedTuple):
    """Describes what the demonstration did."""

    explained: JobResult
    scored: JobResult
    report: Path | str


def demo_dump() -> Path:
    """The folder of the bundled dump."""
    return Path(__file__).parent.parent / "demo" / "dump"


def run(settings: Demo, *, progress: Progress | None = None) -> Demonstrated:
    """Explains, scores and reports the bundled dump."""
    folder, cache, dump = str(settings.out / "run"), settings.out / "cache", str(demo_dump())
    chosen = settings.model_dump(include={"features", "width", "sample"})
    same = {"engine": settings.engine, "cache": cache}
    explained = explaining.run(
        Explain(dump=dump, run=folder, model=settings.model, **chosen, **same), progress=progress
    )
    scored = scoring.run(Score(run=folder, judge=settings.model, dump=dump, **same), progress=progress)
    page = reporting.run(
        Report(run=folder, out=settings.out / "report.html", dump=dump, title="autointerp demo"),
        progress=progress,
    )
    return Demonstrated(explained, scored, page)
