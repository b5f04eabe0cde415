from collections.abc import Iterator
from math import comb, inf
from pathlib import Path

import numpy as np
import pytest
from builders import explanation
from standin.relevance import discoveries, false_positive_rate
from trial import ByImage, make_case, outcomes, scored, subject

from autointerp.lmm.cache import Cache
from autointerp.schema import Control, DomainFinding, FeatureRow, Scored, Unscored
from autointerp.scoring.case import Population
from autointerp.scoring.fdr import discovered, false_positives
from autointerp.scoring.scorers.relevance import label_form
from autointerp.statistics.lift import lift_of


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    """Of one test."""
    with Cache(tmp_path / "answers") as cache:
        yield cache


def row(carriers: int | None, n_active: int) -> FeatureRow:
    return FeatureRow(3, 8, n_active, 2.0, carriers, None)


def finding(found: bool) -> DomainFinding:
    return DomainFinding(domain="d", found=found, text="six fingers" if found else "", category="x", images=())


def test_the_label_form_is_lift_and_fishers_p_beside_the_published_share():
    # 3 of 4 firing images carry it, of 10 images 5 do: (C(5,3)·C(5,1) + C(5,4)) / C(10,4) = 55/210.
    details = label_form(row(3, 4), Population(10, 0.5, exact=True))

    assert (details["label_share"], details["lift"], details["base_rate_exact"]) == (0.75, 1.5, True)
    assert details["p_fisher"] == pytest.approx((comb(5, 3) * 5 + comb(5, 4)) / comb(10, 4))
    assert isinstance(low := details["lift_low"], float)
    assert isinstance(high := details["lift_high"], float)
    assert 0 < low < 1 < 1.5 < high < inf


def test_twenty_of_twenty_is_relevant_as_published_and_not_established():
    few, many = (label_form(row(n, n), Population(1000, 0.1)) for n in (20, 73))

    assert (few["label_relevant"], few["established"]) == (True, False)
    assert (many["label_relevant"], many["established"]) == (True, True)
    assert label_form(row(72, 72), Population(1000, 0.1))["established"] is False


def test_without_a_base_rate_there_is_a_share_and_no_effect():
    details = label_form(row(3, 4), Population(10))

    assert details["label_share"] == 0.75
    assert "lift" not in details
    assert "p_fisher" not in details


def test_counts_that_contradict_the_base_rate_are_taken_for_known():
    # 8 of 10 firing images carry it, so at least 8 of 1000 do, though the rate says none.
    details = label_form(row(8, 10), Population(1000, 0.0, exact=True))

    assert details["lift"] == pytest.approx(0.8 / 0.008)


def test_an_estimated_base_rate_is_tested_as_the_draw_it_comes_from():
    # 3 of 4 firing images, 1 of 4 images drawn: (C(4,3)·C(4,1) + C(4,4)) / C(8,4) = 17/70.
    details = label_form(row(3, 4), Population(1000, 0.25, known_from=4))

    assert details["p_fisher"] == pytest.approx(17 / 70)
    assert (details["lift"], details["base_rate_exact"]) == (3.0, False)
    better = label_form(row(3, 4), Population(1000, 0.25, known_from=400))
    assert isinstance(p := better["p_fisher"], float)
    assert p < 17 / 70
    assert isinstance(low := details["lift_low"], float)
    assert isinstance(low_of_better := better["lift_low"], float)
    assert low < low_of_better < 3


def test_a_draw_without_any_carrier_gives_a_test_and_no_lift():
    details = label_form(row(3, 4), Population(1000, 0.0, known_from=4))

    assert details["p_fisher"] == pytest.approx(4 / comb(8, 3))
    assert "lift" not in details


def test_a_lift_is_bounded_where_no_carrier_or_nothing_else_fires_the_feature():
    none = lift_of(0, 10, 0.1, others=990, overlap=0.01)
    all_ = lift_of(1000, 1000, 1.0, others=0, overlap=1.0)

    assert (none.value, none.low) == (0.0, 0.0)
    assert 1 < none.high < 20
    assert (all_.value, all_.low, all_.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(("p1", "n", "p2", "others"), [(0.3, 200, 0.05, 4800), (0.05, 100, 0.05, 20_000)])
def test_intervals_of_the_lift_hold_the_truth_as_often_as_they_say(p1: float, n: int, p2: float, others: int):
    rng = np.random.default_rng(0)
    overlap = n / (n + others)
    held = {"counted": 0, "estimated": 0}
    for _ in range(1000):
        k, rest = int(rng.binomial(n, p1)), int(rng.binomial(others, p2))
        counted = lift_of(k, n, (k + rest) / (n + others), others=others, overlap=overlap)
        held["counted"] += counted.low <= p1 / (overlap * p1 + (1 - overlap) * p2) <= counted.high
        drawn = max(1, int(rng.binomial(500, p2)))
        estimated = lift_of(k, n, drawn / 500, others=500, overlap=0.0)
        held["estimated"] += estimated.low <= p1 / p2 <= estimated.high

    assert all(0.925 < n_held / 1000 < 0.98 for n_held in held.values()), held


def test_the_second_pass_on_a_shuffled_set_is_the_control(cache: Cache):
    said = explanation().model_copy(update={"domain": finding(True), "shuffled": finding(False)})

    score = scored(outcomes(make_case(cache, ByImage(lambda image: "no"), said=said))["relevance"])

    assert score.value == 1.0
    assert score.controls == {"shuffled": Control(value=0.0, n=1)}


def test_a_feature_without_a_shuffled_set_has_no_such_control(cache: Cache):
    said = explanation().model_copy(update={"domain": finding(True)})

    score = scored(outcomes(make_case(cache, ByImage(lambda image: "no"), said=said))["relevance"])

    assert score.controls == {}


def test_the_scorer_carries_the_test_of_the_label_form(cache: Cache):
    about = subject(carriers=90)

    score = scored(outcomes(make_case(cache, ByImage(lambda image: "no"), about=about))["relevance"])

    # 90 of the 100 that fire, and 100 of 1000.
    assert score.details["lift"] == pytest.approx(9.0)
    assert isinstance(p := score.details["p_fisher"], float)
    assert p < 1e-80


def relevance_score(feature: int, value: float, *, p: float | None = None, shuffled: float | None = None) -> Scored:
    """Of the label form where there is a p-value, else of the LMM form."""
    return Scored(
        feature=feature,
        scorer="relevance",
        value=value,
        low=0.0,
        high=1.0,
        n=1,
        details={"form": "lmm"} if p is None else {"form": "label", "p_fisher": p},
        controls={} if shuffled is None else {"shuffled": Control(value=shuffled, n=1)},
        judge="",
        prompt="",
        created="2026-01-31T12:00:00Z",
    )


def test_discoveries_are_counted_over_the_tests_of_the_run():
    unscored = Unscored(feature=9, scorer="relevance", reason="no", judge="", created="2026-01-31T12:00:00Z")
    tested = [relevance_score(feature, 0.5, p=p) for feature, p in ((4, 0.01), (2, 0.5), (7, 0.04))]

    found = discoveries([*tested, unscored])

    assert (found.n_tested, found.features.tolist()) == (3, [2, 4, 7])
    assert found.q == pytest.approx([0.5, 0.03, 0.06])
    assert found.discovered.tolist() == [4]


def test_the_last_score_of_a_feature_is_the_one_tested():
    found = discoveries([relevance_score(4, 0.9, p=0.01), relevance_score(4, 0.9, p=0.8)], level=0.1)

    assert (found.q.tolist(), found.n_tested, found.level) == ([0.8], 1, 0.1)


def test_nothing_tested_is_nothing_discovered():
    found = discovered(np.zeros(0, np.int64), np.zeros(0))

    assert (found.n_tested, found.discovered.tolist()) == (0, [])


def test_the_rate_of_false_positives_is_that_of_the_shuffled_sets():
    scores = [relevance_score(i, float(i < 8), shuffled=float(i == 0) if i < 4 else None) for i in range(10)]

    rate = false_positive_rate(scores)

    assert rate is not None
    assert (rate.found.value, rate.n, rate.shuffled.value, rate.n_shuffled) == (0.8, 10, 0.25, 4)
    # 9 yes among 14: of the 10 own sets at least 8 of them.
    assert rate.p == pytest.approx((comb(9, 8) * comb(5, 2) + comb(9, 9) * comb(5, 1)) / comb(14, 10))


def test_features_found_no_more_often_than_shuffled_sets_show_nothing():
    assert false_positives(5, 10, 5, 10).p > 0.5
    assert false_positive_rate([relevance_score(1, 1.0)]) is None
