"""Fills a report's data from a run folder and the dump it belongs to."""

from collections.abc import Mapping
from functools import partial

from autointerp.clock import now
from autointerp.dump.reader import Dump
from autointerp.images.picture import Rendering
from autointerp.images.renderer import Renderer
from autointerp.reports.data import ReportData
from autointerp.reports.judge import judge_facts, judge_notes
from autointerp.reports.parents import kin_of
from autointerp.runs.folder import Run, RunInfo
from autointerp.runs.parts import places
from autointerp.scoring.calibration import Calibration
from autointerp.scoring.control_tests import Separation
from autointerp.version import __version__


def collect(
    run: Run,
    dump: Dump,
    renderer: Renderer,
    title: str | None,
    *,
    separations: tuple[Separation, ...],
    calibration: Calibration | None,
) -> ReportData:
    """What the report needs of a run and its dump; reads no record yet.

    Args:
        run: read while it may still grow.
        dump: the one that the run explains.
        renderer: makes the pictures.
        title: stands at the top; the run folder's name where None.
        separations: the run's controls against its scores.
        calibration: of the run's judge, if it was calibrated.
    """
    return ReportData(
        title=title or run.path.resolve().name,
        facts=_facts(run.info, dump, calibration),
        notes=(*_not_merged(run), *judge_notes(run.info, calibration)),
        separations=separations,
        attribute=dump.info.attribute.name if dump.info.attribute is not None else None,
        n_features=dump.n_features,
        widths=dump.info.widths,
        n_images=dump.info.n_images,
        active_above=dump.info.active_above,
        patch_grid=dump.info.patch_grid,
        shown_as=_shown_as(run.info.explain.settings.renderings),
        region=run.info.explain.settings.region,
        explanations=run.explanations,
        scores=run.scores,
        failures=run.failures,
        kin=partial(kin_of, dump),
        feature=dump.feature,
        image=dump.image,
        jpeg=renderer.jpeg_now,
    )


def _facts(info: RunInfo, dump: Dump, calibration: Calibration | None) -> Mapping[str, str]:
    facts = {
        "Dump": info.dump.name,
        "Features of": f"{dump.info.model}, {dump.info.hookpoint}",
        "Dictionary": f"{dump.info.n_latents:,} latents, {dump.info.n_images:,} images",
        "Explainer": info.explain.model.model,
    }
    facts |= judge_facts(info, calibration)
    if dump.info.attribute is not None:
        facts["Attribute"] = dump.info.attribute.name
    prompts = info.explain.prompts | (info.score.prompts if info.score is not None else {})
    facts["Prompts"] = ", ".join(f"{name} {digest}" for name, digest in prompts.items())
    facts["Seed"] = str(info.explain.settings.seed)
    facts["Dump digest"] = info.dump.digest[:12]
    facts["Run made"] = f"{_day(info.created)} by autointerp {info.version}"
    facts["Report made"] = f"{_day(now())} by autointerp {__version__}"
    return facts


def _day(time: str) -> str:
    return time.partition("T")[0]


def _shown_as(renderings: tuple[Rendering, ...]) -> Rendering:
    """Of several renderings the crop, since the strips beside it show the whole images already."""
    return "crop" if "crop" in renderings else renderings[0]


def _not_merged(run: Run) -> tuple[str, ...]:
    n = len(places(run.path))
    if not n:
        return ()
    what = f"{n:,} parts of this run are" if n > 1 else "A part of this run is"
    return (f"{what} not merged and not shown here: “autointerp merge {run.path}”, then make the report anew.",)
