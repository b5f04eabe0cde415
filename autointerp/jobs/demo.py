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
from autointerp.settings import ScoreSettings

LOCALLY = ScoreSettings(budget_per_feature=12, n_controls=8)
"""The embedded judge costs time alone: the rarer a feature, the more silent images it judges, so that most scores say
something. As many features as a verdict on the controls needs carry them."""


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
    scoring_settings = LOCALLY if settings.model.model.is_local else ScoreSettings()
    scored = scoring.run(
        Score(run=folder, judge=settings.model, dump=dump, settings=scoring_settings, **same), progress=progress
    )
    page = reporting.run(
        Report(run=folder, out=settings.out / "report.html", dump=dump, title="autointerp demo"),
        progress=progress,
    )
    return Demonstrated(explained, scored, page)
