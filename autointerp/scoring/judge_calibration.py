"""What is known of a run's judge: its calibration, and the reasons to doubt that it speaks for these scores."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from autointerp.job import JobResult
from autointerp.remote.path import Location, as_path
from autointerp.runs.files import replace_file
from autointerp.runs.folder import Run
from autointerp.runs.info import RunInfo
from autointerp.scoring.calibration import Calibration, family_warning, idle_because, load_calibration, warnings_for
from autointerp.scoring.judge import Judge
from autointerp.statistics.rates import JudgeRates

_KEPT = "calibration.json"


def kept_at(run: Path, judging: str) -> Path:
    """Where a run's folder has a copy of the calibration of a judging."""
    return run / (f"calibration-{judging}.json" if judging else _KEPT)


def kept_in(run: Path) -> list[Path]:
    """The copies of calibrations in a run's folder."""
    return sorted((*run.glob(_KEPT), *run.glob("calibration-*.json")))


@dataclass(frozen=True, slots=True)
class Known:
    """A calibration as a run uses it."""

    rates: JudgeRates | None
    """None where it is of another way of showing images, so that nothing is corrected by it."""
    text: str
    """The file's content."""

    @property
    def digest(self) -> str:
        """First 12 hex digits of the text's SHA-256."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    def keep(self, run: Run) -> None:
        """Leaves a copy in the run, since the file may be replaced."""
        replace_file(kept_at(run.path, run.judging), self.text.encode())


def calibrated(file: Location | None, judge: Judge, info: RunInfo, result: JobResult) -> Known | None:
    """What is known of the judge, None without a file; warnings become notes of the result.

    Raises:
        SettingsError: the file is missing, or not a calibration.
    """
    explainer = "" if info.is_adopted else info.explain.model.model
    if file is None:
        result.notes += family_warning(judge.model.model, explainer)
        return None
    known = load_calibration(as_path(file))
    result.notes += warnings_for(known, judge.model.model, explainer, judge.digest, judge.settings, judge.model.detail)
    rates = rates_of(known) if idle_because(known, judge.settings) is None else None
    return Known(rates, known.model_dump_json(indent=2) + "\n")


def rates_of(known: Calibration) -> JudgeRates:
    """Sensitivity and specificity as the arithmetic takes them.

    The specificity is that on random images, of which the silent part of a population consists; near misses, half of
    what a calibration asks about, are hardly any of it.
    """
    random = known.random_yes
    specificity, n = (known.specificity, known.n_false) if random is None else (1 - random.value, random.n)
    return JudgeRates(known.sensitivity, known.n_true, specificity, n)
