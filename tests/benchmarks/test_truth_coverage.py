"""The benchmark of intervals: its populations are what they are said to be, and its dumps stand for them."""

import numpy as np
import pytest

from autointerp.statistics.resampling import one_look
from benchmarks.truth.budgets import silent_needed
from benchmarks.truth.coverage import Urn, held, says_yes, table, textbook, truth
from benchmarks.truth.harvest import USUAL
from benchmarks.truth.judges import GOOD, PERFECT


def test_explanations_have_the_f1_that_they_are_planted_with():
    urn = Urn(20_000, 0.01, 0)
    known = {kind: truth(urn, says_yes(PERFECT, fits), twice=False) for kind, fits in urn.fits.items()}

    # Half finds half: 2 / 3. Broad fits three times as many: 2 / 4.
    assert known == {"true": 1.0, "half": pytest.approx(2 / 3, abs=0.05), "broad": 0.5}
    # An erring judge says yes to 190 of 200 and to 2 % of 19,800, and twice to .04 % of these.
    yes = says_yes(GOOD, urn.fits["true"])
    assert truth(urn, yes, twice=False) == pytest.approx(2 * 190 / (200 + 190 + 396))
    assert truth(urn, yes, twice=True) == pytest.approx(2 * 190 / (200 + 190 + 7.92))


def test_a_dump_stands_for_the_population_without_bias():
    urn = Urn(20_000, 0.01, 0)
    broad = urn.fits["broad"]
    silent, fitting = [], []
    for draw in range(100):
        rows = urn.harvest(USUAL, draw).negatives
        silent.append(sum(1 / e.probability for e in rows))
        fitting.append(sum(1 / e.probability for e in rows if broad[e.image]))

    # 19,800 silent images, of which 400 fit; within three standard errors.
    for found, known in ((silent, 19_800), (fitting, 400)):
        assert abs(np.mean(found) - known) < 3 * np.std(found) / 10


def test_the_textbook_interval_is_that_of_a_ratio():
    y, c = np.repeat([1.0, 0.0], [10, 10]), np.repeat([1.0, 0.0], [5, 15])
    found = textbook(one_look(y, c, np.ones(20), y.astype(np.int64)))

    # F1 = 10 / 15. The active images deviate by (2 - 4/3) / 15 and -2/3 / 15, so that their variance is
    # 10 * 10/9 * (2/3 / 15)^2; the silent ones by nothing.
    assert found.value == pytest.approx(2 / 3)
    assert found.high - found.value == pytest.approx(1.96 * (100 / 9) ** 0.5 * 2 / 45)


def test_a_line_counts_misses_on_either_side():
    lines = table(list(held("fixed", 0.1, 20_000, 2, 0))).splitlines()

    assert lines[2].startswith("| fixed | 10 % | ")
    assert lines[2].split(" | ")[7] == "12"  # two draws of three explanations under two judges


def test_a_narrower_interval_of_a_rarer_feature_takes_more_images():
    assert silent_needed(0.1, 0.5) < silent_needed(0.1, 0.2) < silent_needed(0.03, 0.2)
