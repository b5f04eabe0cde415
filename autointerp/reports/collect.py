"""Fills a report's data from a run folder and the dump it belongs to, with what is known of the run's judge."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from autointerp.clock import now
from autointerp.dump.reader import Dump
from autointerp.errors import typed
from autointerp.images.renderer import Renderer
from autointerp.lmm.images.store import FOLDER as PICTURES
from autointerp.reports.data import ReportData
from autointerp.reports.hierarchy import parent_pairs
from autointerp.reports.labels import capital, interval, number
from autointerp.reports.strips import altered_jpegs
from autointerp.runs.exchanges import Exchanges
from autointerp.runs.folder import Run
from autointerp.runs.index import EXPLANATION, FAILURE
from autointerp.runs.info import RunInfo
from autointerp.runs.jsonl import JsonLines
from autointerp.runs.judgings import beside, own_failures, own_scores
from autointerp.runs.parts import places
from autointerp.runs.score_lines import SCORE
from autointerp.schema import Score
from autointerp.scoring.calibration import Calibration, family_warning, warnings_for
from autointerp.scoring.control_tests import Separation
from autointerp.version import __version__

_COUNTED = {"complete": "", "sample": ", a sample", "unknown": " of an unknown number that were run"}
LOCAL_NOTE = (
    "The embedded model took part in this run. It is no large multimodal model but a few small networks that choose"
    " among phrases of a fixed vocabulary: it cannot describe what no phrase names, nor count, read, reason about a"
    " scene or follow a prompt. It shows how a run works; for findings, use a large multimodal model."
)


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
        facts=facts_of(run.seen, dump, calibration),
        notes=(*_not_merged(run), *besides(run), *notes_of(run.seen, dump, calibration)),
        info=dump.info,
        n_features=dump.n_features,
        # Of several renderings the crop, since the rows beside it show the whole images already.
        shown_as="crop" if "crop" in renderings else first if (first := renderings[0]) != "auto" else "outline",
        region=settings.region,
        explanations=JsonLines(run.path / "explanations.jsonl", EXPLANATION),
        scores=own_scores(JsonLines(run.path / "scores.jsonl", SCORE), run.judging),
        failures=own_failures(JsonLines(run.path / "failures.jsonl", FAILURE), run.judging),
        unexplainable=run.unexplainable,
        separations=separations,
        parents=partial(parent_pairs, dump),
        feature=dump.feature,
        image=dump.image,
        jpeg=renderer.jpeg_now,
        altered=altered_jpegs(dump),
        pictures=run.path / PICTURES,
        exchanges=Exchanges(run.path, run.judging).of,
    )


def facts_of(info: RunInfo, dump: Dump, calibration: Calibration | None) -> Mapping[str, str]:
    """Tells how a run was made, name by name."""
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


def notes_of(info: RunInfo, dump: Dump, calibration: Calibration | None) -> tuple[str, ...]:
    """Tells how far to trust a run: what its dump does not cover, and what its models cannot be trusted with."""
    return (*map(_sentence, dump.info.notes), *judge_notes(info, calibration))


def besides(run: Run) -> tuple[str, ...]:
    """Names the judgings whose scores are not shown."""
    said = beside(run)
    return () if said is None else (_sentence(said),)


def _not_merged(run: Run) -> tuple[str, ...]:
    n = len(places(run.path))
    if not n:
        return ()
    what = f"{n:,} parts of this run are" if n > 1 else "A part of this run is"
    return (f"{what} not merged and not shown here: “autointerp merge {typed(run.path)}”, then make the report anew.",)


def judge_facts(info: RunInfo, calibration: Calibration | None) -> Mapping[str, str]:
    """Tells the judge's name and, where it was calibrated, when and how often it was right."""
    if info.score is None:
        return {}
    facts: dict[str, str] = {"Judge": info.score.judge.model}
    if calibration is not None:
        c = calibration
        truth = f"that {c.reference} made too" if c.reference else "of known truth"
        facts["Judge calibrated"] = f"{c.created.partition('T')[0]}, {c.n_true + c.n_false:,} judgements {truth}"
        for name, value, low, high in (
            ("sensitivity", c.sensitivity, c.sensitivity_low, c.sensitivity_high),
            ("specificity", c.specificity, c.specificity_low, c.specificity_high),
        ):
            facts[f"Judge's {name}"] = f"{number(value)}, 95 % interval {interval(low, high)}"
    return facts


def judge_notes(info: RunInfo, calibration: Calibration | None) -> tuple[str, ...]:
    """Tells what the models of a run cannot be trusted with, in a sentence or two each."""
    explainer = info.explain.model.model
    judge = info.score.judge.model if info.score is not None else ""
    notes = [LOCAL_NOTE] if explainer.startswith("local") or judge.startswith("local") else []
    if info.score is None:
        return tuple(notes)
    if calibration is None:
        return (
            *notes,
            *map(_sentence, family_warning(judge, explainer)),
            _not_calibrated(judge, info.score.calibration),
        )
    digest = info.score.prompts.get("judge", "")
    told = warnings_for(calibration, judge, explainer, digest, info.score.settings, info.score.judge.detail)
    return (*notes, *map(_sentence, told))


def _not_calibrated(judge: str, gone: str | None) -> str:
    if gone is not None:
        return (
            f"These scores were corrected by a calibration of the judge ({gone}) that is no longer in the run's folder:"
            " how often the judge is right cannot be shown."
        )
    model = "local" if judge.startswith("local@") else judge
    return (
        "The judge is not calibrated: how often it is wrong is not known, and no score is corrected for it."
        f" “autointerp calibrate --model {model}” measures it; “autointerp score --calibration” takes the file that"
        " it writes."
    )


def _sentence(line: str) -> str:
    return f"{capital(line)}."
