import numpy as np
import pytest

from autointerp.transcoder.classification_metrics import auroc, calibration_error, quality, reliability


def alone(n: int) -> np.ndarray:
    return np.arange(n)


def test_auroc_by_hand():
    labels = np.array([True, True, False, False, False])
    scores = np.array([3.0, 1.0, 2.0, 1.0, 0.0])

    # 3 beats all three; 1 beats 0, ties with 1 and loses to 2.
    assert auroc(scores, labels, alone(5)).value == pytest.approx((3 + 1.5) / 6)


def test_auroc_is_the_share_of_pairs_in_order():
    chance = np.random.default_rng(0)
    for _ in range(20):
        labels = chance.random(40) < 0.4
        scores = chance.integers(0, 6, 40).astype(float)
        pairs = [(p > n) + 0.5 * (p == n) for p in scores[labels] for n in scores[~labels]]

        assert auroc(scores, labels, alone(40)).value == pytest.approx(np.mean(pairs), abs=1e-12)


def test_scores_that_separate_the_labels_still_leave_doubt():
    labels = np.arange(40) < 20

    found = auroc(np.arange(40.0)[::-1].copy(), labels, alone(40))

    # Wilson's lower bound of 20 successes in 20.
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(20 / (20 + 1.959964**2))


def test_a_constant_score_ranks_nothing():
    assert auroc(np.zeros(10), np.arange(10) < 5, alone(10)).value == 0.5


def test_one_group_a_label_says_nothing_of_the_interval():
    labels = np.array([True, True, False, False])

    found = auroc(np.array([1.0, 0.2, 0.3, 0.0]), labels, np.array([0, 0, 1, 1]))

    assert (found.low, found.high) == (0.0, 1.0)


def test_copies_of_images_in_their_groups_leave_the_interval_as_it_was():
    chance = np.random.default_rng(2)
    labels = chance.random(60) < 0.5
    scores = chance.normal(labels * 1.0, 1.0)

    once = auroc(scores, labels, alone(60))
    thrice = auroc(np.repeat(scores, 3), np.repeat(labels, 3), np.repeat(alone(60), 3))
    naive = auroc(np.repeat(scores, 3), np.repeat(labels, 3), alone(180))

    assert thrice.low == pytest.approx(once.low)
    assert naive.low > once.low + 0.02


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    chance = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        # Groups of three of one label share half of their variance; the truth is Φ(1/√2) = .7602.
        labels = np.repeat(chance.random(40) < 0.4, 3)
        shared = np.repeat(chance.normal(0, np.sqrt(0.5), 40), 3)
        scores = labels + shared + chance.normal(0, np.sqrt(0.5), 120)
        found = auroc(scores, labels, np.arange(120) // 3)
        held += found.low <= 0.7602 <= found.high

    assert 0.90 <= held / 300 <= 0.99


def test_calibration_by_hand():
    probability = np.array([0.05, 0.05, 0.95, 0.95, 0.95, 1.0])
    labels = np.array([False, True, True, True, True, False])

    bins = reliability(probability, labels)

    assert [(b.low, b.n, b.rate) for b in bins] == [(0.0, 2, 0.5), (0.9, 4, 0.75)]
    assert calibration_error(bins) == pytest.approx((2 * 0.45 + 4 * (0.9625 - 0.75)) / 6)


def test_quality_by_hand():
    labels = np.array([True, False, True, False])
    even = float(np.log(3))

    found = quality(np.array([even, -even, -even, even]), labels, alone(4), seed=0)

    assert (found.n, found.n_positive, found.n_groups, found.accuracy) == (4, 2, 4, 0.5)
    assert found.brier == pytest.approx((2 * 0.25**2 + 2 * 0.75**2) / 4)
    assert found.log_loss == pytest.approx(-(np.log(0.75) + np.log(0.25)) / 2)


def test_the_error_of_a_calibrated_forecast_is_what_drawing_labels_from_it_gives():
    chance = np.random.default_rng(0)
    logits = chance.normal(0, 1.5, 80)
    probability = 1 / (1 + np.exp(-logits))
    labels = chance.random(80) < probability

    drawn = [calibration_error(reliability(probability, chance.random(80) < probability)) for _ in range(300)]

    assert quality(logits, labels, alone(80), seed=0).ece_calibrated == pytest.approx(np.mean(drawn), rel=0.05)
