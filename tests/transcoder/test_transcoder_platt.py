"""Calibrated probabilities: the fit, and the mean over groups."""

from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from autointerp.errors import SettingsError
from autointerp.transcoder.classification_metrics import clustered_mean
from autointerp.transcoder.platt import calibration_of, fitted


def slow_loss(slope: float, offset: float, logits: np.ndarray, labels: np.ndarray) -> float:
    n1, n0, total = int(labels.sum()), int((~labels).sum()), 0.0
    for z, y in zip(logits.tolist(), labels.tolist(), strict=True):
        p = 1 / (1 + np.exp(-(slope * z + offset)))
        t = (n1 + 1) / (n1 + 2) if y else 1 / (n0 + 2)
        total -= t * np.log(p) + (1 - t) * np.log(1 - p)
    return total


def test_no_line_nearby_fits_better():
    chance = np.random.default_rng(0)
    logits = chance.normal(size=2000) * 3
    labels = chance.random(2000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))

    slope, offset = fitted(logits, labels)

    best = slow_loss(slope, offset, logits, labels)
    for step in ((0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02), (0.02, 0.02), (-0.02, 0.02)):
        assert slow_loss(slope + step[0], offset + step[1], logits, labels) > best
    assert (slope, offset) == (pytest.approx(0.5, abs=0.05), pytest.approx(-1, abs=0.15))


def test_overconfident_log_odds_are_shrunk_to_the_truth():
    chance = np.random.default_rng(1)
    truth = chance.normal(size=20_000)
    labels = chance.random(20_000) < 1 / (1 + np.exp(-truth))

    assert fitted(4 * truth + 2, labels) == (pytest.approx(0.25, abs=0.02), pytest.approx(-0.5, abs=0.05))


def test_labels_that_are_separated_do_not_give_certainty():
    logits, labels = np.array([-9.0, -8.0, 8.0, 9.0]), np.array([False, False, True, True])

    slope, offset = fitted(logits, labels)

    # Of two images each, 3/4 and 1/4 are what the labels are taken for.
    assert 1 / (1 + np.exp(-(slope * 8.5 + offset))) == pytest.approx(0.75, abs=0.01)


def test_log_odds_that_go_the_wrong_way_say_nothing():
    slope, offset = fitted(np.array([3.0, 2.0, -2.0, -3.0]), np.array([False, False, True, True]))

    assert (slope, offset) == (0.0, pytest.approx(0.0, abs=1e-4))


def test_copies_widen_the_interval_of_a_mean_and_leave_its_value():
    values = np.array([0.1, 0.2, 0.6, 0.7])

    alone = clustered_mean(values, np.arange(4))
    copied = clustered_mean(np.repeat(values, 3), np.repeat(np.arange(4), 3))

    # Deviations are -.3, -.2, .2, .3: the standard error is sqrt(4/3 · .26)/4.
    assert alone.high - alone.value == pytest.approx(1.96 * sqrt(4 / 3 * 0.26) / 4, abs=1e-3)
    assert (copied.low, copied.high) == (pytest.approx(alone.low), pytest.approx(alone.high))
    one = clustered_mean(values, np.zeros(4, np.int64))
    assert (one.value, one.low, one.high) == (pytest.approx(0.4), 0.0, 1.0)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "predictions.csv: cannot be read ("),
        ("path,part\na,test\n", "predictions.csv: cannot be read ('log_odds')"),
        (
            "path,part,label,log_odds,group\na,validation,1,2,0\n",
            "predictions.csv: its validation part has images of one label only",
        ),
    ],
)
def test_predictions_that_cannot_be_used_are_one_line(content: str | None, problem: str, tmp_path: Path):
    if content is not None:
        (tmp_path / "predictions.csv").write_text(content)

    with pytest.raises(SettingsError) as error:
        calibration_of(tmp_path)

    assert problem in str(error.value)
    assert "\n" not in str(error.value)
