"""Agreement of two judges, by hand and against a slow version that looks at one answer after the other."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.statistics import agreement
from autointerp.statistics.agreement import Agreed, agreed, kappa, tables_of
from autointerp.statistics.comparison import Estimate
from autointerp.statistics.resampling import Draws

Pair = tuple[float, float, int]
"""The answers of two judges to a question, and the feature that it is of."""
PAIRS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 3)),
    min_size=1,
    max_size=30,
)


def compared(pairs: Sequence[Pair], *, rates: bool = True, seed: int = 0) -> Agreed:
    first, second, feature = np.array(pairs, float).T
    return agreed(tables_of(first, second, feature, 4), Draws(500, seed), with_rates=rates)


def pairs(yes_yes: int = 0, yes_no: int = 0, no_yes: int = 0, no_no: int = 0) -> list[Pair]:
    """So many answers of each kind, dealt to four features in turn."""
    kinds = [(1.0, 1.0)] * yes_yes + [(1.0, 0.0)] * yes_no + [(0.0, 1.0)] * no_yes + [(0.0, 0.0)] * no_no
    return [(a, b, i % 4) for i, (a, b) in enumerate(kinds)]


def value(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.value


def test_fifty_answers_agree_as_in_the_textbook():
    # 20 yes, 15 no in common: 35 of 50 are equal. By chance .5·.6 + .5·.4 = .5, so that kappa is (.7 − .5) / .5.
    found = compared(pairs(yes_yes=20, yes_no=5, no_yes=10, no_no=15))

    assert (found.n, found.features, value(found.equal)) == (50, 4, 0.7)
    assert value(found.kappa) == pytest.approx(0.4)
    assert (found.n_true, value(found.sensitivity)) == (30, pytest.approx(20 / 30))
    assert (found.n_false, value(found.specificity)) == (20, 15 / 20)


def test_an_unsure_answer_is_no_agreement_and_counts_half_as_a_rate():
    found = compared([(0.5, 1.0, 0), (1.0, 1.0, 0), (0.5, 0.0, 1), (0.0, 0.0, 1), (1.0, 0.5, 2)])

    assert (found.n, value(found.equal), value(found.kappa)) == (2, 1.0, 1.0)
    assert (found.n_true, value(found.sensitivity), found.n_false, value(found.specificity)) == (2, 0.75, 2, 0.75)


def test_without_a_reference_there_are_no_error_rates():
    found = compared(pairs(yes_yes=3, no_no=3), rates=False)

    assert (found.n_true, found.n_false, found.sensitivity, found.specificity) == (0, 0, None, None)


def test_agreement_on_everything_is_no_certainty():
    # Wilson's lower bound of 20 of 20 is .839; chance is .5, so that kappa's is 2 · .839 − 1.
    found = compared(pairs(yes_yes=10, no_no=10))

    assert found.equal is not None
    assert found.kappa is not None
    assert (found.equal.low, found.equal.high) == (pytest.approx(0.8389, abs=1e-4), 1.0)
    assert (found.kappa.low, found.kappa.high) == (pytest.approx(0.6777, abs=1e-4), 1.0)


def test_where_both_always_say_yes_there_is_no_kappa():
    found = compared(pairs(yes_yes=12))

    assert (value(found.equal), found.kappa, found.specificity) == (1.0, None, None)


def test_errors_that_cluster_in_features_make_the_interval_wider():
    # The same 50 of 100 equal answers: half of each feature, or all of two features and none of the other two.
    spread = compared([(1.0, float(i % 2), i % 4 // 2 + 2 * (i // 50)) for i in range(100)])
    clustered = compared([(1.0, float(i < 50), i % 2 + 2 * (i // 50)) for i in range(100)])

    assert value(spread.equal) == value(clustered.equal) == 0.5
    assert spread.equal is not None
    assert clustered.equal is not None
    assert (clustered.equal.low, clustered.equal.high) == (0.0, 1.0)
    assert spread.equal.low == pytest.approx(0.4038, abs=1e-4)  # Wilson's of 50 of 100


def test_many_features_drawn_together_have_the_interval_of_each_drawn_alone(monkeypatch: pytest.MonkeyPatch):
    # Of 3,000 features a third is judged alike on 2 of 2 images, the others on none: ± 1.96 · √(⅓ · ⅔ / 3,000) = .0169.
    tables = np.zeros((3000, 3, 3))
    tables[::3, 2, 2] = tables[1::3, 2, 0] = tables[2::3, 0, 2] = 2

    together = agreed(tables, Draws(1000, 0), with_rates=False).equal
    monkeypatch.setattr(agreement, "MOST", 3000)
    alone = agreed(tables, Draws(1000, 0), with_rates=False).equal

    for found in (together, alone):
        assert found is not None
        assert (found.low, found.high) == (pytest.approx(0.3165, abs=0.003), pytest.approx(0.3502, abs=0.003))


def test_nothing_in_common_gives_no_figure():
    assert agreed(np.zeros((2, 3, 3)), Draws(100, 0), with_rates=True) == Agreed(
        n=0, features=0, equal=None, kappa=None
    )


def test_the_same_seed_gives_the_same_interval():
    answers = pairs(yes_yes=7, yes_no=2, no_yes=1, no_no=9)

    assert compared(answers) == compared(answers)
    assert compared(answers, seed=1).features == 4


def slow_kappa(answers: Sequence[Pair]) -> float:
    """As the definition says, answer by answer; NaN where it has none."""
    decided = [(a, b) for a, b, _ in answers if a != 0.5 != b]
    if not decided:
        return float("nan")
    equal = sum(a == b for a, b in decided) / len(decided)
    of = [(sum(p[i] for p in decided) / len(decided)) for i in (0, 1)]
    chance = of[0] * of[1] + (1 - of[0]) * (1 - of[1])
    return float("nan") if chance == 1 else (equal - chance) / (1 - chance)


@given(PAIRS)
def test_every_figure_is_as_counted_one_by_one(answers: list[Pair]):
    found = compared(answers)

    first, second, feature = np.array(answers, float).T
    whole = tables_of(first, second, feature, 4).sum(axis=0)
    np.testing.assert_allclose(kappa(whole), slow_kappa(answers), atol=1e-12)
    true = [a for a, b, _ in answers if b == 1]
    false = [1 - a for a, b, _ in answers if b == 0]
    assert (found.n_true, found.n_false) == (len(true), len(false))
    assert found.sensitivity is None or found.sensitivity.value == pytest.approx(sum(true) / len(true))
    assert found.specificity is None or found.specificity.value == pytest.approx(sum(false) / len(false))
    for estimate in (found.equal, found.kappa, found.sensitivity, found.specificity):
        if estimate is not None:
            assert estimate.low is not None
            assert estimate.high is not None
            assert -1 <= estimate.low <= estimate.value <= estimate.high <= 1


@given(PAIRS)
def test_agreement_does_not_depend_on_who_is_named_first(answers: list[Pair]):
    turned = compared([(b, a, feature) for a, b, feature in answers], rates=False)

    straight = compared(answers, rates=False)
    assert (straight.n, straight.equal) == (turned.n, turned.equal)
    if straight.kappa is not None and turned.kappa is not None:
        assert straight.kappa.value == pytest.approx(turned.kappa.value)
