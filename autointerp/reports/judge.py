"""What is known of a run's judge, as facts and notes of its report."""

from collections.abc import Mapping

from autointerp.reports.labels import capital, interval, number
from autointerp.runs.folder import RunInfo
from autointerp.scoring.calibration import Calibration, family_warning, warnings_for

LOCAL_NOTE = (
    "The embedded model took part in this run. It is no large multimodal model but a few small networks that choose"
    " among phrases of a fixed vocabulary: it cannot describe what no phrase names, nor count, read, reason about a"
    " scene or follow a prompt. It shows how a run works; for findings, use a large multimodal model."
)


def judge_facts(info: RunInfo, calibration: Calibration | None) -> Mapping[str, str]:
    """Tells the judge's name and, where it was calibrated, when and how often it was right."""
    if info.score is None:
        return {}
    facts: dict[str, str] = {"Judge": info.score.judge.model}
    if calibration is not None:
        c = calibration
        facts["Judge calibrated"] = f"{c.created.partition('T')[0]}, {c.n_true + c.n_false:,} judgements of known truth"
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
