"""`autointerp demo`: the whole job on the bundled dump."""

from collections.abc import Iterable
from pathlib import Path

from autointerp.config import EngineSettings, ModelSettings
from autointerp.jobs.common import JobResult, Progress
from autointerp.jobs.explaining import explain
from autointerp.jobs.reporting import report
from autointerp.jobs.scoring import score
from autointerp.remote.path import local_path


def demo_dump() -> Path:
    """Where the bundled dump is."""
    return Path(__file__).parent.parent / "demo" / "dump"


def run_demo(
    out: str | Path,
    *,
    model: ModelSettings,
    features: str | Iterable[int] = "all",
    engine: EngineSettings | None = None,
    progress: Progress | None = None,
) -> tuple[JobResult, JobResult, Path]:
    """Explains, scores and reports the bundled dump.

    Args:
        out: folder for the run, the answers' cache and the report.
        model: explainer and judge.
        features: as for `explain`.
        engine: how the endpoint is used.
        progress: shows how far it is.

    Returns:
        What explaining and scoring did, and the report's path.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    folder = local_path(out)
    run, cache = folder / "run", folder / "cache"
    explained = explain(demo_dump(), run, model=model, features=features, engine=engine, cache=cache, progress=progress)
    scored = score(run, judge=model, engine=engine, dump=demo_dump(), cache=cache, progress=progress)
    page = report(run, folder / "report.html", dump=demo_dump(), title="autointerp demo")
    return explained, scored, page
