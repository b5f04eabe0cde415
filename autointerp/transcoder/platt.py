"""Probabilities from a classifier's log odds, calibrated on images that its weights were not fitted to."""

import csv
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from autointerp.errors import SettingsError
from autointerp.record import Record
from autointerp.statistics.rates import Bools, Floats, Ints
from autointerp.transcoder.classification_metrics import Quality, quality

PREDICTIONS_FILE = "predictions.csv"


class Calibration(Record):
    """Is the line p = 1 / (1 + exp(-(slope · log odds + offset))), fitted on the validation part."""

    slope: float
    offset: float
    n: int
    """Images of the validation part."""
    n_positive: int
    """Those of them that have the attribute."""
    before: Quality
    """Of the log odds as they are, on the test part."""
    after: Quality
    """Of the calibrated ones, on the test part."""

    def log_odds(self, logits: Floats) -> Floats:
        """Returns calibrated log odds, shape of the given ones."""
        return self.slope * logits + self.offset

    def probability(self, logits: Floats) -> Floats:
        """Returns calibrated probabilities, 0 to 1."""
        return expit(self.log_odds(logits))


def fitted(logits: Floats, labels: Bools) -> tuple[float, float]:
    """Fits slope, at least 0, and offset by maximum likelihood (Platt 1999), as Lin, Lin & Weng (2007) state it.

    Labels are taken for (n₁ + 1)/(n₁ + 2) and 1/(n₀ + 2) instead of 1 and 0, so that a few images which the log odds
    separate do not make every probability 0 or 1.

    Args:
        logits: shape [n].
        labels: shape [n]; both values occur.
    """
    n_positive, n_negative = int(labels.sum()), int((~labels).sum())
    target = np.where(labels, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))

    def loss(line: Floats) -> tuple[float, Floats]:
        odds = line[0] * logits + line[1]
        apart = expit(odds) - target
        value = float(np.sum(np.logaddexp(0.0, odds) - target * odds))
        return value, np.array([apart @ logits, apart.sum()])

    start = np.array([1.0, 0.0])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)])
    return float(found.x[0]), float(found.x[1])


def calibration_of(folder: Path) -> Calibration:
    """Fits a calibration on what a classifier said of its validation part, and measures it on its test part.

    Args:
        folder: of the classifier, with its predictions.csv.

    Raises:
        SettingsError: the predictions are missing or are not as `autointerp train classifier` writes them.
    """
    path = folder / PREDICTIONS_FILE
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                (row["part"], float(row["log_odds"]), row["label"] == "1", int(row["group"]))
                for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as e:
        raise SettingsError(f"{path}: cannot be read ({e}), so nothing is calibrated; train the classifier anew") from e
    parts = {name: [row[1:] for row in rows if row[0] == name] for name in ("validation", "test")}
    for name, found in parts.items():
        if len({label for _, label, _ in found}) < 2:
            raise SettingsError(f"{path}: its {name} part has images of one label only; train the classifier anew")
    (logits, labels, _), (held, truth, groups) = (_columns(parts[name]) for name in ("validation", "test"))
    slope, offset = fitted(logits, labels)
    return Calibration(
        slope=slope,
        offset=offset,
        n=len(labels),
        n_positive=int(labels.sum()),
        before=quality(held, truth, groups, seed=0),
        after=quality(slope * held + offset, truth, groups, seed=0),
    )


def _columns(rows: list[tuple[float, bool, int]]) -> tuple[Floats, Bools, Ints]:
    logits, labels, groups = zip(*rows, strict=True)
    return np.array(logits, np.float64), np.array(labels, np.bool_), np.array(groups, np.int64)
