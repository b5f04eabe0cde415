"""Shares, differences and ranks over clusters: numbers by hand, and slow, obvious twins."""

from math import asin, pi, sqrt

import numpy as np
import pytest

from autointerp.statistics.clusters import (
    Difference,
    Looked,
    Sample,
    Share,
    angles_of,
    average_of,
    best_threshold,
    correlation_of,
    difference_of,
    rank_shares,
    replicated,
    share_of,
    shift_between,
    systematic_variance,
    two_phase,
    wilson_bounds,
    without_false_alarms,
)
from autointerp.statistics.rates import t_quantile, wilson


def bools(text: str):
    return np.array([c == "1" for c in text])


def sample(hits: str, clusters: list[int] | None = None) -> Sample:
    return Sample(bools(hits), np.arange(len(hits)) if clusters is None else np.array(clusters))


def test_ten_of_forty_single_images_have_wilsons_interval_but_for_the_quantile_of_39_degrees():
    share = share_of(bools("1" * 10 + "0" * 30), np.arange(40))

    effective = 40 / (40 / 39) * (1.959964 / t_quantile(39)) ** 2
    assert share.value == 0.25
    assert share.n_effective == pytest.approx(effective, rel=1e-6)
    assert (share.low, share.high) == wilson_bounds(0.25, share.n_effective)


def test_bounds_of_a_whole_number_are_those_of_the_plain_wilson_interval():
    plain = wilson(3, 20)

    assert wilson_bounds(0.15, 20) == pytest.approx((plain.low, plain.high))


def test_twenty_prompts_of_five_equal_images_count_as_twenty_images():
    hits = np.repeat(bools("1" * 5 + "0" * 15), 5)
    clusters = np.repeat(np.arange(20), 5)

    share = share_of(hits, clusters)

    # Each cluster is one image: the design effect is 5 but for 20/19.
    assert share.n_effective == pytest.approx(20 * 19 / 20 * (1.959964 / t_quantile(19)) ** 2, rel=1e-6)
    assert (share.hits, share.n, share.n_clusters) == (25, 100, 20)


def test_no_hit_at_all_leaves_as_much_doubt_as_the_clusters_do():
    alone, together = share_of(bools("0" * 30), np.arange(30)), share_of(bools("0" * 30), np.arange(30) // 3)

    assert (alone.low, together.low) == (0.0, 0.0)
    assert together.n_effective == pytest.approx(10 * (1.959964 / t_quantile(9)) ** 2, rel=1e-6)
    assert together.high > alone.high > 0.1


def test_the_effective_number_is_what_a_bootstrap_of_whole_clusters_finds():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 6, 120)
    clusters = np.repeat(np.arange(120), sizes)
    hits = rng.random(len(clusters)) < np.repeat(rng.beta(0.5, 1.5, 120), sizes)
    share = share_of(hits, clusters)

    by_cluster = [np.flatnonzero(clusters == c) for c in range(120)]
    means = [
        float(hits[np.concatenate([by_cluster[c] for c in rng.integers(0, 120, 120)])].mean()) for _ in range(3000)
    ]

    variance = share.value * (1 - share.value) / share.n_effective
    assert sqrt(variance) == pytest.approx(float(np.std(means)), rel=0.06)


def test_a_mean_over_clusters_has_their_t_interval():
    found = average_of(np.array([1.0, 3.0, 2.0, 6.0]), np.array([0, 0, 1, 1]))

    # Sums above the mean of 3: -2 and 2; variance 2/1 · 8 / 16 = 1; t of one degree is 12.706.
    assert found is not None
    assert (found.value, found.high) == pytest.approx((3.0, 15.706), abs=0.01)


def test_one_cluster_has_no_interval():
    assert average_of(np.array([1.0, 2.0]), np.array([4, 4])) is None
    assert average_of(np.array([]), np.array([], np.int64)) is None


def test_sets_that_fail_on_the_same_prompts_go_together_and_opposite_ones_apart():
    clusters = [0, 1, 2, 3]

    assert correlation_of(sample("1100", clusters), sample("1100", clusters)) == (pytest.approx(1.0), 4)
    assert correlation_of(sample("1100", clusters), sample("0011", clusters)) == (pytest.approx(-1.0), 4)
    assert correlation_of(sample("1100", clusters), sample("1100", [4, 5, 6, 7])) == (0.0, 0)


def test_a_difference_of_unrelated_sets_joins_the_distances_of_both_intervals():
    a, b = sample("1" * 5 + "0" * 45), Sample(bools("1" * 20 + "0" * 30), np.arange(100, 150))

    found = difference_of(a, b)

    one, other = a.share, b.share
    assert found.value == pytest.approx(0.3)
    assert found.low == pytest.approx(0.3 - sqrt((0.4 - other.low) ** 2 + (one.high - 0.1) ** 2))
    assert found.high == pytest.approx(0.3 + sqrt((other.high - 0.4) ** 2 + (0.1 - one.low) ** 2))
    assert found.p < 0.01


def test_equal_sets_differ_by_nothing():
    assert difference_of(sample("1100"), sample("1100", [5, 6, 7, 8])).p == 1.0


def test_pairs_by_prompt_make_the_same_difference_surer():
    hits_a, hits_b, prompts = "1" * 20 + "0" * 80, "1" * 30 + "0" * 70, list(range(100))
    paired = difference_of(sample(hits_a, prompts), sample(hits_b, prompts))
    apart = difference_of(sample(hits_a, prompts), sample(hits_b, [p + 100 for p in prompts]))

    assert paired.value == apart.value
    assert paired.p < 0.02 < apart.p
    assert paired.high - paired.low < apart.high - apart.low


def test_a_shift_that_controls_show_as_well_is_no_finding():
    a, b = sample("1" * 10 + "0" * 90), Sample(bools("1" * 30 + "0" * 70), np.arange(100, 200))
    plain, allowed = difference_of(a, b), difference_of(a, b, systematic=0.05)

    assert plain.p < 0.001 < 0.05 < allowed.p
    assert allowed.low < 0 < plain.low


def test_controls_that_differ_by_chance_alone_show_no_shift():
    assert systematic_variance(np.array([0.1, -0.1]), np.array([0.01, 0.02])) == 0.0
    assert systematic_variance(np.array([0.3, -0.1]), np.array([0.01, 0.01])) == pytest.approx(0.04)
    assert systematic_variance(np.array([]), np.array([])) == 0.0


def test_the_angle_of_half_of_very_many_is_an_eighth_of_a_turn():
    assert Share(0.5, 0.4, 0.6, 5, 10, 10, 1e12).angle == pytest.approx(pi / 4)
    assert Share(0.0, 0.0, 0.6, 0, 10, 10, 10.0).angle == pytest.approx(asin(sqrt(0.375 / 10.75)))


def test_replicates_draw_shared_clusters_for_both_sets_at_once():
    clusters = list(range(40))
    drawn = replicated([sample("10" * 20, clusters), sample("01" * 20, clusters)], 200, np.random.default_rng(0))

    assert drawn.shape == (200, 2)
    assert drawn.sum(axis=1) == pytest.approx(np.ones(200))


def test_replicates_are_those_of_a_loop_over_whole_clusters():
    samples = [sample("1101", [0, 0, 1, 2]), sample("001", [2, 3, 3])]
    drawn = replicated(samples, 3000, np.random.default_rng(0))
    rng, slow = np.random.default_rng(1), []
    for _ in range(3000):
        # 0 and 1 are A's alone, 2 is shared, 3 is B's alone.
        first = [*rng.integers(0, 2, 2).tolist(), 2]
        hits_a = [h for c in first for h, own in zip((1, 1, 0, 1), (0, 0, 1, 2), strict=True) if own == c]
        slow.append([float(np.mean(hits_a)), 1 / 3])

    assert drawn.mean(axis=0) == pytest.approx(np.mean(slow, axis=0), abs=0.02)
    assert drawn.std(axis=0) == pytest.approx(np.std(slow, axis=0), abs=0.02)


def test_ranks_are_counted_over_the_draws():
    draws = np.array([[0.1, 0.2, 0.3], [0.2, 0.1, 0.3], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3]])

    assert rank_shares(draws).tolist() == [[0.75, 0.25, 0.0], [0.25, 0.75, 0.0], [0.0, 0.0, 1.0]]


def test_sets_that_are_equal_share_their_ranks():
    assert rank_shares(np.array([[0.1, 0.1, 0.3]])).tolist() == [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]


def test_every_rank_and_every_set_adds_up_to_one():
    found = rank_shares(np.round(np.random.default_rng(0).random((50, 6)), 1))

    assert found.sum(axis=0) == pytest.approx(np.ones(6))
    assert found.sum(axis=1) == pytest.approx(np.ones(6))


def test_a_judge_who_finds_half_of_the_fired_wrong_and_misses_none_halves_the_share():
    fired = share_of(bools("1" * 40 + "0" * 60), np.arange(100))
    found = two_phase(fired, Looked(10, 20), Looked(0, 50), draws=4000, rng=np.random.default_rng(0))

    assert found.value == pytest.approx(0.2)
    assert 0.08 < found.low < 0.15 < 0.27 < found.high < 0.36


def test_what_silent_images_show_is_added():
    fired = share_of(bools("1" * 40 + "0" * 60), np.arange(100))
    found = two_phase(fired, Looked(20, 20), Looked(5, 50), draws=4000, rng=np.random.default_rng(0))

    assert found.value == pytest.approx(0.4 + 0.6 * 0.1)


def test_with_nothing_seen_anywhere_nothing_is_a_possible_answer():
    fired = share_of(bools("0" * 100), np.arange(100))
    found = two_phase(fired, Looked(0, 0), Looked(0, 40), draws=4000, rng=np.random.default_rng(0))

    assert (found.value, found.low) == (0.0, 0.0)
    assert 0.03 < found.high < 0.15


def test_a_threshold_lies_where_most_carriers_and_fewest_others_are_above():
    peaks, has = np.array([5.0, 4.0, 2.0, 3.0, 1.0, 0.0]), bools("111000")

    # Above 3: two of three carriers and no other; above 1: all three carriers and one other; equal, the highest wins.
    assert best_threshold(peaks, has, 0.5) == 3.0
    assert best_threshold(peaks, has, 3.5) == 3.5


def test_a_threshold_is_that_of_a_search_over_all_levels():
    rng = np.random.default_rng(0)
    for _ in range(30):
        peaks, has = np.round(rng.gamma(1.0, 2.0, 40), 1), rng.random(40) < 0.4
        levels = sorted({0.5, *peaks[peaks > 0.5].tolist()})
        gains = [round(float((peaks[has] > x).mean() - (peaks[~has] > x).mean()), 12) for x in levels]

        best = best_threshold(peaks, has, 0.5)

        assert gains[levels.index(best)] == max(gains)


def test_intervals_of_a_difference_hold_the_true_one_in_95_of_100_studies():
    rng, held, n = np.random.default_rng(0), 0, 600
    for _ in range(n):
        low, clusters = rng.beta(1, 9, 60), np.repeat(np.arange(60), 3)
        a = Sample(rng.random(180) < np.repeat(low, 3), clusters)
        b = Sample(rng.random(180) < np.repeat(np.minimum(1, low + 0.1), 3), clusters)
        found: Difference = difference_of(a, b)
        held += found.low <= 0.1 <= found.high

    assert 0.92 <= held / n <= 0.985


def test_many_features_at_once_have_the_angles_of_each_alone():
    rng = np.random.default_rng(0)
    hits, clusters = rng.random((60, 5)) < [0.0, 0.1, 0.3, 0.9, 1.0], rng.integers(0, 20, 60)

    found = angles_of(hits, clusters)

    alone = [share_of(hits[:, j], clusters) for j in range(5)]
    assert found.angle == pytest.approx([s.angle for s in alone])
    assert found.variance == pytest.approx([s.angle_variance for s in alone])


def test_the_shift_between_two_sets_is_that_of_a_loop_over_the_controls():
    rng = np.random.default_rng(1)
    clusters_a, clusters_b = rng.integers(0, 30, 90), rng.integers(10, 40, 90)
    a, b = rng.random((90, 8)) < 0.2, rng.random((90, 8)) < rng.uniform(0.05, 0.6, 8)
    differences, variances = [], []
    for j in range(8):
        one, other = Sample(a[:, j], clusters_a), Sample(b[:, j], clusters_b)
        va, vb, rho = one.share.angle_variance, other.share.angle_variance, correlation_of(one, other)[0]
        differences.append(other.share.angle - one.share.angle)
        variances.append(max(0.1 * (va + vb), va + vb - 2 * rho * sqrt(va * vb)))

    found = shift_between(angles_of(a, clusters_a), angles_of(b, clusters_b))

    assert found == pytest.approx(systematic_variance(np.array(differences), np.array(variances)))
    assert found > 0.01


def test_a_judge_who_cries_wolf_on_a_tenth_of_the_sound_images_is_corrected():
    found = without_false_alarms(np.array([0.19, 0.1, 0.05]), np.array([0.1, 0.1, 0.1]))

    # Of 0.9 that are sound a tenth is 0.09, so that 0.19 was 0.1 of errors.
    assert found == pytest.approx([0.1, 0.0, 0.0])


def test_one_prompt_of_any_number_of_images_says_less_than_one_image():
    found = share_of(bools("1100"), np.zeros(4, np.int64))

    assert (found.value, found.n_clusters) == (0.5, 1)
    assert found.n_effective == pytest.approx((1.959964 / 12.7062) ** 2, rel=1e-4)
    assert 0 < found.low < 0.02
    assert 0.98 < found.high < 1
    angles = angles_of(bools("1100")[:, None], np.zeros(4, np.int64))
    assert (angles.angle[0], angles.variance[0]) == (found.angle, found.angle_variance)


def test_answers_about_copies_of_one_file_count_as_one_answer():
    silent, rng = Looked(0, 40), np.random.default_rng
    fired = Share(0.5, 0.4, 0.6, 50, 100, 100, 100.0)

    copies = two_phase(fired, Looked(40, 40, copies=40.0), silent, draws=2000, rng=rng(0))
    one = two_phase(fired, Looked(1, 1), silent, draws=2000, rng=rng(0))

    assert copies == one
