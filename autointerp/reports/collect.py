"""Fills a report's data from a run folder and the dump it belongs to."""

from collections.abc import Mapping

from autointerp.clock import now
from autointerp.dump.reader import Dump
from autointerp.images.picture import Rendering
from autointerp.images.renderer import Renderer
from autointerp.reports.data import ReportData
from autointerp.runs.folder import Run, RunInfo
from autointerp.version import __version__

LOCAL_NOTE = (
    "The embedded model took part in this run. It is no large multimodal model but a few small networks that choose"
    " among phrases of a fixed vocabulary: it cannot describe what no phrase names, nor count, read, reason about a"
    " scene or follow a prompt. It shows how a run works; for findings, use a large multimodal model."
)
SAME_NOTE = (
    "The judge is the model that wrote the explanations. Judges favour their own words, so these scores may be too"
    " high; judge with another model before comparing."
)


def collect(run: Run, dump: Dump, renderer: Renderer, title: str | None) -> ReportData:
    """What the report needs of a run and its dump; reads no record yet."""
    return ReportData(
        title=title or run.path.resolve().name,
        facts=_facts(run.info, dump),
        notes=_notes(run.info),
        n_features=dump.n_features,
        n_images=dump.info.n_images,
        active_above=dump.info.active_above,
        patch_grid=dump.info.patch_grid,
        shown_as=_shown_as(run.info.explain.settings.renderings),
        region=run.info.explain.settings.region,
        explanations=run.explanations,
        scores=run.scores,
        failures=run.failures,
        feature=dump.feature,
        image=dump.image,
        jpeg=renderer.jpeg_now,
    )


def _facts(info: RunInfo, dump: Dump) -> Mapping[str, str]:
    facts = {
        "Dump": info.dump.name,
        "Features of": f"{dump.info.model}, {dump.info.hookpoint}",
        "Dictionary": f"{dump.info.n_latents:,} latents, {dump.info.n_images:,} images",
        "Explainer": info.explain.model.model,
    }
    if info.score is not None:
        facts["Judge"] = info.score.judge.model
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


def _notes(info: RunInfo) -> tuple[str, ...]:
    explainer = info.explain.model.model
    judge = info.score.judge.model if info.score is not None else None
    notes = [LOCAL_NOTE] if explainer.startswith("local") or (judge or "").startswith("local") else []
    if judge == explainer:
        notes.append(SAME_NOTE)
    return tuple(notes)


def _shown_as(renderings: tuple[Rendering, ...]) -> Rendering:
    """Of several renderings the crop, since the strips beside it show the whole images already."""
    return "crop" if "crop" in renderings else renderings[0]
