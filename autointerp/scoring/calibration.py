"""Holds what calibrating a judge found, reads and writes its file, and warns where it does not speak for scores."""

import re
from pathlib import Path

from pydantic import Field, ValidationError

from autointerp.errors import SettingsError, typed
from autointerp.record import Record
from autointerp.remote.path import AnyPath
from autointerp.schema import Usage
from autointerp.settings import Detail, ScoreSettings

FORMAT = "autointerp-calibration/1"
WEAK = 0.5
"""A judge is called weak where its Youden index (sensitivity + specificity - 1) is below this."""


class Share(Record):
    """A share with its 95 % Wilson interval."""

    value: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)
    n: int
    """The number of judgements behind it."""


class ErrorRates(Record):
    """How often a judge is right, with 95 % Wilson bounds; an unsure answer counts half, a missing one not at all.

    The bounds take judgements for independent, though those of one concept err together: over other concepts the rates
    vary more than the bounds say.
    """

    n_true: int = Field(ge=1)
    """The number of judgements answered on images where the thing is there."""
    n_false: int = Field(ge=1)
    """The same number where it is not there."""
    sensitivity: float = Field(ge=0, le=1)
    """The share of yes where the thing is there."""
    sensitivity_low: float
    sensitivity_high: float
    specificity: float = Field(ge=0, le=1)
    """The share of no where it is not there."""
    specificity_low: float
    specificity_high: float

    @property
    def youden(self) -> float:
        """Sensitivity + specificity - 1: 1 for a perfect judge and 0 for one that does not look (Youden 1950)."""
        return self.sensitivity + self.specificity - 1


class KindCalibration(ErrorRates):
    """The rates over concepts that touch one kind of attribute."""

    kind: str


class FormatCalibration(ErrorRates):
    """The rates in one way of showing images."""

    layout: str
    """`sheet` or `separate`."""
    per_call: int
    rendering: str = "full"
    """How images are shown, as `--judge-rendering` says it."""
    calls: int
    input_tokens: int
    output_tokens: int
    dollars: float | None
    """The dollars of all these calls, whenever they were made; None where the price is not known."""

    @property
    def dollars_per_1000(self) -> float | None:
        """The dollars for a thousand judged images."""
        return None if self.dollars is None else 1000 * self.dollars / (self.n_true + self.n_false)


class Agreement(Record):
    """How often two ways of asking about the same images get the same answer."""

    first: str
    second: str
    n: int
    """The number of images that both answered."""
    equal: float = Field(ge=0, le=1)
    """The share of equal answers."""
    kappa: float | None
    """Cohen's kappa (1960), the agreement beyond chance; None where every answer is the same."""


class PositionEffect(Record):
    """Whether the answer depends on the place among the images of a call, over which truth is dealt at random."""

    rates: tuple[float, ...]
    """The share of yes by place, the first place first."""
    place: int
    """The place of the largest deviation from the share over all places, counted from 1."""
    deviation: float
    """The share of yes at that place minus the share over all places."""
    chi_square: float
    p: float
    """The p-value of Pearson's test that yes does not depend on the place."""


class Findings(ErrorRates):
    """All that the judgements say; the rates at the top are those of the run's own format."""

    kinds: tuple[KindCalibration, ...]
    formats: tuple[FormatCalibration, ...]
    """The rates in each format, the run's own first."""
    order: Agreement | None
    """The agreement with the same images in the reversed order; None where nothing of it was answered."""
    agreements: tuple[Agreement, ...]
    """The agreement of the run's own format with each of the others."""
    near_yes: Share | None
    """The share of yes where the thing is absent but something like it is there."""
    random_yes: Share | None
    """The share of yes where it is absent from an image drawn at random."""
    position: PositionEffect | None
    unanswered: int
    """The number of judgements without a usable answer, over all formats."""


class Calibration(Findings):
    """The content of a calibration file."""

    format: str = FORMAT
    model: str
    """The judge's name, as it is asked for."""
    prompt: str
    """The first 12 hex digits of the judging template's SHA-256."""
    layout: str
    per_call: int
    rendering: str
    side: int
    """The longest side of an image as it is shown, in pixels."""
    planted: tuple[int, ...] = ()
    """The sides of the planted images, in pixels; none in files of earlier versions, which planted whole scenes of 256
    pixels whatever the run shows."""
    reference: str = ""
    """The judge, such as a person, whose answers were taken for right; empty where images with a known truth were
    planted."""
    detail: Detail = "auto"
    """The detail that is asked for with each image."""
    seed: int
    usage: Usage
    created: str
    version: str
    """The version of the program."""


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Writes the file, whole or not at all.

    Raises:
        SettingsError: it cannot be written.
    """
    draft = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(calibration.model_dump_json(indent=2) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as e:
        raise SettingsError(f"{path}: cannot be written ({e.strerror}); give another file with --out") from e
    finally:
        if draft.exists():
            draft.unlink()


def load_calibration(path: AnyPath) -> Calibration:
    """Reads what `save_calibration` wrote.

    Raises:
        SettingsError: there is no such file, or it is not one.
    """
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        made = f"`autointerp calibrate --model M --out {typed(path)}` makes it"
        raise SettingsError(f"{path}: no such file; {made}") from None
    except OSError as e:
        raise SettingsError(f"{path}: cannot be read ({e.strerror or e})") from e
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "whole file"
        raise SettingsError(
            f"{path}: {where}: {first['msg']}; not a calibration of this version, so run `autointerp calibrate` again"
        ) from e


def weaknesses(calibration: Calibration) -> tuple[str, ...]:
    """Gives one line for each fault of the judge that a reader of its scores should know."""
    out: list[str] = []
    if calibration.youden < WEAK:
        against = f"against {calibration.reference}" if calibration.reference else "on planted images"
        out.append(
            f"the judge is weak: sensitivity {calibration.sensitivity:.2f}, specificity {calibration.specificity:.2f} "
            f"{against}; together {calibration.youden + 1:.2f}, where guessing gives 1 and knowing 2"
        )
    weak = [f"{k.kind} ({k.sensitivity:.2f} and {k.specificity:.2f})" for k in calibration.kinds if k.youden < WEAK]
    if weak:
        out.append(f"the judge is weak (sensitivity and specificity) on: {', '.join(weak)}")
    return tuple(out)


def form_text(layout: str, per_call: int, rendering: str) -> str:
    """Says how images are shown, in words."""
    how = "single images" if per_call == 1 else f"{layout} of {per_call}"
    return how if rendering == "full" else f"{how} as {rendering}"


def corrects(calibration: Calibration) -> str:
    """Says which scores the error rates are those of, and what correcting by them can do."""
    if not calibration.planted:
        return (
            "calibrated on whole scenes of 256 pixels by an earlier version, which are easier than what is judged; it "
            "corrects nothing: run `autointerp calibrate` again"
        )
    what = form_text(calibration.layout, calibration.per_call, calibration.rendering)
    out = f"corrects scores judged as {what}, of images of {' to '.join(map(str, calibration.planted))} pixels"
    random = calibration.random_yes
    wrong, most = (1 - calibration.specificity, 1 - calibration.specificity_low)
    if random is not None:
        wrong, most = random.value, random.high
    if calibration.sensitivity == 1 and wrong == 0:
        out += (
            f"; no error was met, so that it changes no score: at 95 % the judge misses up to "
            f"{1 - calibration.sensitivity_low:.1%} and falsely accepts up to {most:.1%}, which its interval holds"
        )
    return out


def idle_because(calibration: Calibration, settings: ScoreSettings) -> str | None:
    """Says why scores are not corrected by this calibration; None where they are."""
    if not calibration.planted and not calibration.reference:
        return corrects(calibration)
    if calibration.rendering != settings.rendering:
        return (
            f"calibrated on images shown as {calibration.rendering}, judging {settings.rendering}: the error rates are "
            "those of another question, and no score is corrected by them"
        )
    return None


def warnings_for(
    calibration: Calibration,
    judge_model: str,
    explainer_model: str,
    prompt_digest: str,
    settings: ScoreSettings,
    detail: Detail = "auto",
) -> tuple[str, ...]:
    """Gives one line for each reason to doubt that this calibration speaks for these scores.

    Args:
        calibration: what is known of the judge.
        judge_model: who judges.
        explainer_model: who wrote the explanations.
        prompt_digest: the first 12 hex digits of the judging template's SHA-256.
        settings: the settings of the scoring stage.
        detail: the detail that the judge is asked for.
    """
    out = list(family_warning(judge_model, explainer_model))
    if calibration.reference:
        out.append(
            f"the error rates are those against {calibration.reference}, whose {calibration.n_true:,} yes and "
            f"{calibration.n_false:,} no are taken for right"
        )
    if calibration.model != judge_model:
        out.append(f"the calibration is of {calibration.model}, the judge is {judge_model}: calibrate the judge itself")
    if calibration.prompt != prompt_digest:
        out.append(f"calibrated with another judging prompt ({calibration.prompt}, now {prompt_digest})")
    then = _shown(calibration.layout, calibration.per_call, calibration.side, calibration.detail)
    here = _shown(settings.layout, settings.per_call, settings.region.side, detail)
    if then != here:
        out.append(f"calibrated with {then}, judging with {here}")
    if (why := idle_because(calibration, settings)) is not None:
        out.append(why)
    return (*out, *weaknesses(calibration))


def family_warning(judge_model: str, explainer_model: str) -> tuple[str, ...]:
    """Gives a line if the judge is the explainer or of its family, which judges favour (arXiv 2404.13076)."""
    if judge_model == explainer_model:
        return (f"the judge is the explainer, {judge_model}, and models favour their own words: give --judge-model",)
    if family(judge_model) == family(explainer_model):
        return (f"judge {judge_model} and explainer {explainer_model} are of one family, which judges favour",)
    return ()


def family(model: str) -> str:
    """Gives the first word of a model's name without its provider: `gpt` of `openai/gpt-5-mini`."""
    bare = model.strip().lower().rsplit("/", 1)[-1]
    found = re.match(r"[a-z]{2,}|[^-_@:. ]+", bare)
    return found[0] if found else bare


def _shown(layout: str, per_call: int, side: int, detail: Detail) -> str:
    shown = f"{layout} of {per_call}, {side} px" if per_call > 1 else f"single images, {side} px"
    # `auto` is high detail wherever there is a choice.
    return f"{shown} at low detail" if detail == "low" else shown
