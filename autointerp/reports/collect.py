"""Fills a report's data from a run folder and the dump it belongs to."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from autointerp.clock import now
from autointerp.dump.reader import Dump
from autointerp.images.renderer import Renderer
from autointerp.reports.data import ReportData
from autointerp.reports.judge import judge_facts, judge_notes
from autointerp.reports.parents import parent_pairs
from autointerp.runs.folder import EXPLANATION, FAILURE, SCORE, Run, RunInfo
from autointerp.runs.jsonl import JsonLines
from autointerp.runs.parts import places
from autointerp.schema import Score
from autointerp.scoring.calibration import Calibration
from autointerp.scoring.control_tests import Separation
from autointerp.version import __version__

_COUNTED = {"complete": "", "sample": ", a sample", "unknown": " of an unknown number that were run"}


def collect(
    run: Run,
    dump: Dump,
    renderer: Renderer,
    title: str | None,
    *,
    separations: Callable[[Iterable[Score]], tuple[Separation, ...]],
    calibration: Calibration | None,
) -> ReportData:
    """Gathers what the report needs of a run and its dump; it reads no record yet.

    Args:
        run: read while it may still grow.
        dump: the one that the run explains.
        renderer: makes the pictures.
        title: stands at the top; the run folder's name where None.
        separations: tests the run's controls against its scores, which it is given.
        calibration: of the run's judge, if it was calibrated.
    """
    settings = run.info.explain.settings
    renderings = settings.renderings
    return ReportData(
        title=title or run.path.resolve().name,
        facts=_facts(run.info, dump, calibration),
        notes=(*_not_merged(run), *_population(dump), *judge_notes(run.info, calibration)),
        info=dump.info,
        n_features=dump.n_features,
        # Of several renderings the crop, since the rows beside it show the whole images already.
        shown_as="crop" if "crop" in renderings else renderings[0],
        region=settings.region,
        explanations=JsonLines(run.path / "explanations.jsonl", EXPLANATION),
        scores=JsonLines(run.path / "scores.jsonl", SCORE),
        failures=JsonLines(run.path / "failures.jsonl", FAILURE),
        unexplainable=run.unexplainable,
        separations=separations,
        parents=partial(parent_pairs, dump),
        feature=dump.feature,
        image=dump.image,
        jpeg=renderer.jpeg_now,
    )


def _population(dump: Dump) -> tuple[str, ...]:
    note = dump.info.population_note
    return () if note is None else (f"{note[0].upper()}{note[1:]}.",)


def _facts(info: RunInfo, dump: Dump, calibration: Calibration | None) -> Mapping[str, str]:
    prompts = info.explain.prompts | (info.score.prompts if info.score is not None else {})
    attribute = {} if dump.info.attribute is None else {"Attribute": dump.info.attribute.name}
    return {
        "Dump": info.dump.name,
        "Features of": f"{dump.info.model}, {dump.info.hookpoint}",
        "Dictionary": f"{dump.info.n_latents:,} latents, {dump.info.n_images:,} images{_COUNTED[dump.info.population]}",
        "Explainer": info.explain.model.model,
        **judge_facts(info, calibration),
        **attribute,
        "Prompts": ", ".join(f"{name} {digest}" for name, digest in prompts.items()),
        "Seed": str(info.explain.settings.seed),
        "Dump digest": info.dump.digest[:12],
        "Run made": f"{info.created.partition('T')[0]} by autointerp {info.version}",
        "Report made": f"{now().partition('T')[0]} by autointerp {__version__}",
    }


def _not_merged(run: Run) -> tuple[str, ...]:
    n = len(places(run.path))
    if not n:
        return ()
    what = f"{n:,} parts of this run are" if n > 1 else "A part of this run is"
    return (f"{what} not merged and not shown here: “autointerp merge {run.path}”, then make the report anew.",)
