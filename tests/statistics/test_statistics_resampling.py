from dataclasses import replace
from math import comb

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from autointerp.statistics.rates import (
    Floats,
    Interval,
    f1_samples,
    recall_samples,
    specificity_samples,
    weighted_rates,
)
from autointerp.statistics.resampling import Columns, Draws, f1_not_above, interval_of, one_look, permuted_f1, resample

JUDGED = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 0.5, 1.0]), st.integers(1, 9)), min_size=1, max_size=20
)
Rows = list[tuple[float, float, int]]
RATES = {"f1": f1_samples, "recall": recall_samples, "specificity": specificity_samples}


def columns(rows: Rows) -> tuple[Floats, Floats, Floats]:
    y, c, w = np.array(rows, float).T
    return y, c, w


def plain(y: Floats, c: Floats, w: Floats) -> Columns:
    return one_look(y, c, w, y.astype(np.int64))


def bootstrap_rates(
    y: Floats, c: Floats, w: Floats, stratum: npt.NDArray[np.int64], *, replicates: int, seed: int
) -> dict[str, Interval]:
    judged = one_look(y, c, w, stratum)
    drawn = resample(judged, Draws(replicates, seed))
    return {name: interval_of(statistic, judged, drawn) for name, statistic in RATES.items()}


@settings(deadline=None, max_examples=40)
@given(JUDGED, st.integers(0, 3))
def test_each_interval_holds_its_value_and_stays_within_0_and_1(rows: Rows, seed: int):
    y, c, w = columns(rows)
    assume(y.any() and not y.all())

    rates = bootstrap_rates(y, c, w, y.astype(np.int64), replicates=100, seed=seed)

    for rate in rates.values():
        assert -1e-12 <= rate.low <= rate.value <= rate.high <= 1 + 1e-12
    assert_allclose(rates["f1"].value, weighted_rates(y, c, w).f1)


def test_the_same_seed_gives_the_same_interval():
    y, c, w = np.repeat([1.0, 0.0], [20, 30]), np.tile([1.0, 0.0, 0.5, 1.0, 0.0], 10), np.arange(1.0, 51.0)

    one, same, other = (bootstrap_rates(y, c, w, y.astype(np.int64), replicates=200, seed=s) for s in (1, 1, 2))

    assert one == same
    assert one != other


def test_no_false_positive_among_36_leaves_room_for_three():
    y = np.repeat([1.0, 0.0], [24, 36])
    stratum = np.repeat([0, 1, 2], [24, 18, 18])

    rates = bootstrap_rates(y, y, np.ones(60), stratum, replicates=4000, seed=0)

    assert rates["specificity"].value == rates["specificity"].high == 1.0
    assert 2 / 36 <= 1 - rates["specificity"].low <= 4 / 36
    assert rates["f1"].low < 1.0


def jeffreys_bound(n: float) -> float:
    """The 97.5 % point of Beta(1/2, n + 1/2): the density of the angle t, where the share is sin(t)^2, is cos(t)^2n."""
    angle = np.linspace(0, np.pi / 2, 200_001)
    reached = np.cumsum(np.cos(angle) ** (2 * n))
    return float(np.sin(angle[np.searchsorted(reached, 0.975 * reached[-1])]) ** 2)


def test_no_miss_among_24_over_ten_small_strata_leaves_room_for_few():
    y = np.repeat([1.0, 0.0], [24, 36])
    stratum = np.concatenate([np.arange(24) % 10, np.full(36, 10)])

    recall = bootstrap_rates(y, y, np.ones(60), stratum, replicates=4000, seed=0)["recall"]

    # Jeffreys, on 24 of 24: .902.
    assert_allclose(recall.low, 1 - jeffreys_bound(24), atol=0.01)


def one_feature(rng: np.random.Generator, *, density: float, hits: float, false: float) -> tuple[bool, float]:
    """Draws and judges a feature's sample: whether the interval holds the true F1, and the interval's width.

    Of 100,000 images the feature fires on a share `density`; the judge says yes on a share near `hits` of them,
    less in the weaker bands, and on a share `false` of the silent ones, six times as often among the look-alikes.
    """
    n_active, n_silent = density * 100_000, (1 - density) * 100_000
    bands = np.array([n_active * 0.1] + [n_active * 0.1] * 9)
    share = np.array([3] * 4 + [2] * 6)
    rate = np.clip(np.linspace(hits + 0.08, hits - 0.12, 10), 0, 1)
    band = np.repeat(np.arange(10), share)
    c_active = (rng.random(24) < rate[band]).astype(float)
    w_active = bands[band] / share[band]

    alike = np.concatenate([rng.random(18) < 0.05, rng.random(18) < 0.5])
    c_silent = (rng.random(36) < np.where(alike, false * 6, false / 2)).astype(float)
    drawn_by = np.concatenate([np.ones(18), np.where(alike[18:], 0.05 / 0.5, 0.95 / 0.5)])
    w_silent = drawn_by * n_silent / drawn_by.sum()

    y = np.repeat([1.0, 0.0], [24, 36])
    stratum = np.concatenate([band, np.repeat([10, 11], 18)])
    c, w = np.concatenate([c_active, c_silent]), np.concatenate([w_active, w_silent])
    f1 = bootstrap_rates(y, c, w, stratum, replicates=200, seed=int(rng.integers(2**31)))["f1"]
    hit = float(bands @ rate)
    truth = 2 * hit / (n_active + hit + n_silent * (0.05 * false * 6 + 0.95 * false / 2))
    return f1.low <= truth <= f1.high, f1.high - f1.low


@pytest.mark.parametrize(
    ("density", "hits", "false"),
    [(0.01, 0.9, 0.01), (0.01, 0.5, 0.15), (0.1, 0.9, 0.05), (0.1, 0.92, 0.001), (0.1, 0.5, 0.15)],
)
def test_the_interval_holds_the_true_f1_for_at_least_nine_features_of_ten(density: float, hits: float, false: float):
    rng = np.random.default_rng(11)

    outcomes = [one_feature(rng, density=density, hits=hits, false=false) for _ in range(300)]

    assert np.mean([covered for covered, _ in outcomes]) >= 0.90
    assert np.mean([width for _, width in outcomes]) < 0.95


def test_the_p_value_is_uniform_where_beliefs_say_nothing():
    rng = np.random.default_rng(3)
    y, w = np.repeat([1.0, 0.0], [24, 36]), rng.uniform(1, 20, 60)

    p = [permuted_f1(plain(y, rng.random(60), w), Draws(199, i))[1] for i in range(400)]

    for level in (0.05, 0.25, 0.5, 0.75):
        # Four standard errors of a share of 400.
        assert abs(np.mean(np.array(p) <= level) - level) < 4 * np.sqrt(level * (1 - level) / 400)


def test_a_perfect_judge_has_the_smallest_p_value_there_is():
    y = np.repeat([1.0, 0.0], [24, 36])

    dealt, p = permuted_f1(plain(y, y, np.ones(60)), Draws(199, 0))

    assert p == 1 / 200
    # 24 yeses dealt to 60 images meet 24 * 24 / 60 = 9.6 active ones: F1 = 9.6 / 24.
    assert_allclose(dealt.value, 0.4, atol=0.02)
    assert dealt.low <= 0.4 <= dealt.high < 1.0


@pytest.mark.parametrize("belief", [0.0, 0.5, 1.0])
def test_beliefs_that_are_all_equal_have_p_1(belief: float):
    y = np.repeat([1.0, 0.0], [5, 5])

    _, p = permuted_f1(plain(y, np.full(10, belief), np.ones(10)), Draws(199, 0))

    assert p == 1.0


def halves(n: int, *, copies: int = 1) -> Columns:
    """`n` active images, every other one judged no, and `n` silent ones, all judged no; each `copies` times over."""
    y = np.repeat([1.0, 0.0], [n * copies, n * copies])
    c = np.repeat(np.concatenate([np.arange(n) % 2, np.zeros(n)]), copies).astype(float)
    return one_look(y, c, np.ones(2 * n * copies), y.astype(np.int64))


def test_near_duplicates_count_as_one_judgement():
    once, four_times = halves(12), halves(12, copies=4)
    grouped = Columns(
        active=four_times.active,
        belief=four_times.belief,
        weight=four_times.weight,
        activation=four_times.activation,
        stratum=four_times.stratum,
        phase=four_times.phase,
        looked=np.full(96, 48),
        cleared=np.zeros(96, bool),
        group=np.repeat(np.arange(24), 4),
        answered=four_times.answered,
        fraction=np.zeros(96),
    )

    widths = [
        found.high - found.low
        for judged in (once, four_times, grouped)
        for found in [interval_of(recall_samples, judged, resample(judged, Draws(4000, 1)))]
    ]

    assert widths[1] < 0.6 * widths[0]
    assert_allclose(widths[2], widths[0], rtol=0.1)


def test_each_replicate_stands_for_the_population():
    judged = halves(10)

    drawn = resample(judged, Draws(50, 0))

    assert_allclose(drawn.weights.sum(axis=1), 20.0)
    assert_allclose(drawn.weights @ drawn.extended(judged.active), 10.0)


def test_an_unanswered_judgement_widens_the_interval_to_what_it_could_have_been():
    judged = halves(10)
    unsure = replace(judged, belief=np.where(np.arange(20) == 0, 0.5, judged.belief), answered=np.arange(20) != 0)

    worst, best = unsure.bounds()
    drawn = resample(judged, Draws(2000, 0))
    narrow, wide = interval_of(recall_samples, judged, drawn), interval_of(recall_samples, unsure, drawn)

    # Image 0 is active: no at worst, yes at best.
    assert (worst.belief[0], best.belief[0]) == (0.0, 1.0)
    assert_allclose(wide.value, narrow.value + 0.05)
    assert wide.low <= narrow.low
    assert wide.high > narrow.high


def test_a_recall_that_only_copies_attest_is_known_as_badly_as_from_their_originals():
    # 24 images that are six groups of four copies, all yes: six of six, whose Jeffreys bound is .67.
    y = np.repeat([1.0, 0.0], [24, 24])
    copies = one_look(y, y, np.ones(48), y.astype(np.int64))
    grouped = replace(copies, group=np.concatenate([np.repeat(np.arange(6), 4), 100 + np.arange(24)]))

    known = interval_of(recall_samples, grouped, resample(grouped, Draws(4000, 0)))
    thought = interval_of(recall_samples, copies, resample(copies, Draws(4000, 0)))

    assert_allclose(known.low, 1 - jeffreys_bound(6), atol=0.03)
    assert_allclose(thought.low, 1 - jeffreys_bound(24), atol=0.01)


def test_permuted_answers_of_copies_are_no_evidence():
    rng = np.random.default_rng(2)
    y = np.repeat([1.0, 0.0], [24, 24])
    group = np.repeat(np.arange(12), 4)

    p = []
    for i in range(300):
        judged = replace(plain(y, np.repeat(rng.integers(0, 2, 12), 4).astype(float), np.ones(48)), group=group)
        p.append(permuted_f1(judged, Draws(199, i))[1])

    # By image a fifth of them would be below .05.
    assert np.mean(np.array(p) <= 0.05) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 300)


def two_phases(n_screened_yes: int) -> Columns:
    """30 active images and, of 1000 silent ones screened, some let through (all false) and 20 cleared, all judged."""
    n = 30 + n_screened_yes + 20
    silent = np.arange(n) >= 30
    phase = np.where(silent & (np.arange(n) < n - 20), 1, 0)
    looked = np.where(~silent, 30, np.where(phase == 1, n_screened_yes, 1000 - n_screened_yes))
    weight = np.where(~silent, 1.0, np.where(phase == 1, 100.0, 100.0 * (1000 - n_screened_yes) / 20))
    return Columns(
        active=(~silent).astype(float),
        belief=(~silent | (phase == 1)).astype(float),
        weight=weight,
        activation=np.full(n, np.nan),
        stratum=silent.astype(np.int64),
        phase=phase,
        looked=looked.astype(np.int64),
        cleared=silent & (phase == 0),
        group=np.arange(n),
        answered=np.ones(n, bool),
        fraction=np.zeros(n),
    )


def test_of_two_phases_the_first_one_bounds_what_the_second_can_know():
    judged = two_phases(10)

    found = interval_of(specificity_samples, judged, resample(judged, Draws(4000, 0)))

    # 10 of 1000 were let through: a share of 1 %, known to about ± .6 %.
    assert_allclose(1 - found.value, 0.01)
    assert 0.003 < 1 - found.high < 0.0065
    assert 0.015 < 1 - found.low < 0.025


def test_the_p_value_tells_a_better_f1_from_an_equal_one():
    judged = halves(20)
    perfect = replace(judged, belief=judged.active)

    better = f1_not_above(perfect, judged.belief, Draws(999, 0))
    equal = f1_not_above(judged, judged.belief, Draws(999, 0))
    worse = f1_not_above(judged, judged.active, Draws(999, 0))

    # F1 of 1 against 2/3, on 20 active images.
    assert better < 0.02
    assert equal == 1.0
    assert worse > 0.99


def test_two_explanations_of_equal_f1_that_err_in_opposite_ways_are_seldom_told_apart():
    # It fires on 1 %. One fits everything: F1 is .02/1.01. The other finds a tenth of it and fits a share f of the
    # silent images with .002 / (.01 + .001 + .99 f) = .02/1.01, so f = .0909. Their answers are not interchangeable.
    rng = np.random.default_rng(0)
    y, w = np.repeat([1.0, 0.0], [24, 36]), np.repeat([0.01 / 24, 0.99 / 36], [24, 36]) * 100_000

    def p(seed: int) -> float:
        said = np.concatenate([rng.random(24) < 0.1, rng.random(36) < 0.0909]).astype(float)
        return f1_not_above(one_look(y, said, w, y.astype(np.int64)), np.ones(60), Draws(200, seed))

    below = np.mean([p(seed) < 0.05 for seed in range(200)])

    # Three standard errors above 5 %; a test by swapping answers rejects a quarter of them.
    assert below < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_zero_of_36_bounds_the_share_at_jeffreys_bound_whatever_the_strata():
    assert_allclose(jeffreys_bound(36), 2.5 / 36, rtol=0.05)
    y = np.repeat([1.0, 0.0], [24, 36])

    for strata in (1, 3):
        stratum = np.concatenate([np.full(24, 9), np.arange(36) % strata])
        found = bootstrap_rates(y, y, np.ones(60), stratum, replicates=20_000, seed=0)["specificity"]
        assert_allclose(1 - found.low, jeffreys_bound(36), rtol=0.03)


def test_light_look_alikes_say_little_of_the_heavy_images_beside_them():
    # 12 images of 1000 and 24 of 1: (12024)² / (12 * 1000² + 24) = 12.05 equal images, not 36.
    y, w = np.repeat([1.0, 0.0, 0.0], [24, 12, 24]), np.repeat([1.0, 1000.0, 1.0], [24, 12, 24])
    stratum = np.repeat([0, 1, 2], [24, 12, 24])

    found = bootstrap_rates(y, y, w, stratum, replicates=20_000, seed=0)["specificity"]

    assert_allclose(1 - found.low, jeffreys_bound(12.05), rtol=0.05)


def test_no_false_yes_among_50_silent_images_of_a_rare_feature_says_next_to_nothing():
    # It fires on 200 of 200,000 images. With 2.5 false yeses in 50, 10,000 silent images would fit: F1 is .04.
    y = np.repeat([1.0, 0.0], [24, 50])
    w = np.repeat([200 / 24, 199_800 / 50], [24, 50])

    found = bootstrap_rates(y, y, w, y.astype(np.int64), replicates=20_000, seed=0)["f1"]

    assert found.high == 1.0
    assert_allclose(found.low, 400 / (400 + jeffreys_bound(50) * 199_800), rtol=0.1)


def test_a_perfect_precision_does_not_pull_the_upper_bound_below_what_recall_allows():
    # Half of 24 active images fit and none of 36 silent ones, each for 100: were precision 1, F1 = 2r / (1 + r).
    y, c = np.repeat([1.0, 0.0], [24, 36]), np.repeat([1.0, 0.0], [12, 48])
    w = np.repeat([1.0, 100.0], [24, 36])

    found = bootstrap_rates(y, c, w, y.astype(np.int64), replicates=20_000, seed=0)

    r = found["recall"].high
    assert_allclose(found["f1"].high, 2 * r / (1 + r), atol=0.02)


def test_a_population_that_was_judged_whole_leaves_nothing_to_chance():
    judged = halves(10)
    whole = replace(judged, fraction=np.ones(20))
    most = replace(judged, fraction=np.full(20, 0.75))

    widths = []
    for of in (judged, most, whole):
        found = interval_of(recall_samples, of, resample(of, Draws(8000, 0)))
        assert found.low <= found.value == 0.5 <= found.high
        widths.append(found.high - found.low)

    # The spread falls by sqrt(1 - f): to a half, then to nothing.
    assert_allclose(widths[1], widths[0] / 2, rtol=0.1)
    assert_allclose(widths[2], 0.0, atol=1e-9)


def coverage(n: int, share: float, intervals: list[Interval]) -> float:
    """How often the interval of x in n holds a share, by the binomial distribution alone."""
    return sum(
        comb(n, x) * share**x * (1 - share) ** (n - x)
        for x, found in enumerate(intervals)
        if found.low <= share <= found.high
    )


def test_the_interval_of_a_share_covers_as_it_promises_by_exact_enumeration():
    n, y = 24, np.repeat([1.0, 0.0], [24, 4])
    intervals: list[Interval] = []
    for x in range(n + 1):
        judged = one_look(y, (np.arange(28) < x).astype(float), np.ones(28), y.astype(np.int64))
        intervals.append(interval_of(recall_samples, judged, resample(judged, Draws(3000, x))))

    known = {share: coverage(n, share, intervals) for share in np.linspace(0.1, 0.9, 33).round(3).tolist()}

    # No interval of a share covers 95 % at every share: what can be asked is 95 % on the mean, and not far below.
    assert 0.93 <= np.mean(list(known.values())) <= 0.97
    assert min(known.values()) >= 0.90
    # Near the bounds none may fall short: three in a hundred, one in a hundred.
    assert all(coverage(n, share, intervals) >= 0.95 for share in (0.005, 0.01, 0.03, 0.05, 0.95, 0.97, 0.99))
