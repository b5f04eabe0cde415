"""Which candidates are kept: the test against chance, its correction, the shares of each cluster, what adds."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import fisher_exact

from autointerp.candidates import Candidate
from autointerp.explanation.choice import Fits, adding, clustered, fisher
from autointerp.settings import CandidateSettings

PLAN = CandidateSettings(diverse=True)


def fits(active: str, silent: str) -> Fits:
    """One letter an image: `y`es, `n`o, `u`nsure, or `-` for no answer."""
    said = active + silent
    belief = np.array([{"y": 1.0, "n": 0.0, "u": 0.5, "-": np.nan}[s] for s in said])
    return Fits(belief == 1, belief, np.arange(len(said)) < len(active), np.ones(len(said)))


def candidate(score: float | None, p: float | None = 0.001) -> Candidate:
    return Candidate(text="a star", concepts=(), images=(0,), score=score, p=p)


@pytest.mark.parametrize(("n_active", "n_silent"), [(1, 1), (3, 5), (12, 24), (7, 2)])
def test_the_exact_test_is_scipys_one_sided_one(n_active: int, n_silent: int):
    for yes_active, yes_silent in product(range(n_active + 1), range(n_silent + 1)):
        table = [[yes_active, n_active - yes_active], [yes_silent, n_silent - yes_silent]]

        p = fisher(yes_active, n_active, yes_silent, n_silent)

        _, theirs = fisher_exact(table, alternative="greater")
        assert p == pytest.approx(theirs, rel=1e-9, abs=1e-12)


def test_the_exact_test_by_hand():
    """Of 4 images 2 fire; both yes fall on them in one of six ways."""
    assert fisher(2, 2, 0, 2) == pytest.approx(1 / 6)
    assert fisher(0, 2, 0, 2) == fisher(2, 2, 2, 2) == 1


def test_the_score_is_the_share_of_yes_on_active_less_that_on_silent_images():
    assert fits("yyyn", "nnny").score == pytest.approx(0.75 - 0.25)
    assert fits("un", "nn").score == pytest.approx(0.25)
    assert fits("ny", "yy").score == 0
    assert fits("y-", "n-").score == 1
    assert fits("--", "nn").score is None


def test_unsure_is_no_yes_for_the_test_against_chance_and_no_answer_is_no_image():
    assert fits("yyu-", "nn").p() == pytest.approx(fisher(2, 3, 0, 2))


def test_a_rare_meaning_has_its_share_by_score_whatever_its_frequency():
    """Six candidates of score 0.5 and two of 0.8: 3 : 1.6 of the sum, but 0.5 : 0.8 of the means."""
    often, rare = clustered([candidate(0.5)] * 6 + [candidate(0.8)] * 2, [0] * 6 + [1] * 2, PLAN)[::-1]

    assert (often.size, rare.size) == (6, 2)
    assert (often.share_score, rare.share_score) == pytest.approx((3 / 4.6, 1.6 / 4.6))
    assert (often.share_ips, rare.share_ips) == pytest.approx((0.5 / 1.3, 0.8 / 1.3))
    assert (often.score, rare.score) == pytest.approx((0.5, 0.8))


def test_a_paraphrase_told_as_a_meaning_of_its_own_would_pay_and_one_in_its_cluster_does_not():
    """By letters four wordings of one thing take four fifths; by meaning they take a half."""
    five = [candidate(0.6)] * 5

    by_letters, by_meaning = (clustered(five, labels, PLAN) for labels in ([0, 1, 2, 3, 4], [0, 0, 0, 0, 1]))

    assert sum(c.share_ips for c in by_letters if c.members != (4,)) == pytest.approx(0.8)
    assert [c.share_ips for c in by_meaning] == pytest.approx([0.5, 0.5])


def test_epsilon_bounds_the_weight_of_a_rare_meaning():
    """1 of 8 counts as 1 of 4: half of its share's weight."""
    plan = PLAN.model_copy(update={"epsilon": 0.25})

    found = clustered([candidate(0.5)] * 8, [0] * 7 + [1], plan)

    assert [c.share_ips for c in found] == pytest.approx([2 / 3, 1 / 3])


def test_a_power_of_the_score_sharpens_the_shares():
    plan = PLAN.model_copy(update={"beta": 2})

    found = clustered([candidate(0.8), candidate(0.4)], [0, 1], plan)

    assert [c.share_ips for c in found] == pytest.approx([0.8, 0.2])


def test_all_scores_0_leave_shares_of_0_and_nothing_kept():
    found = clustered([candidate(0, 1), candidate(None, None)], [0, 1], PLAN)

    assert [(c.share_score, c.share_ips, c.kept, c.p) for c in found] == [(0, 0, False, 1)] * 2


def test_the_best_of_a_cluster_is_tested_and_corrected_for_the_number_of_clusters():
    found = clustered([candidate(0.3, 0.04), candidate(0.6, 0.02), candidate(0.5, 0.03)], [0, 0, 1], PLAN)

    best = {c.best: (c.p, c.kept) for c in found}

    assert best == {1: (pytest.approx(0.04), True), 2: (pytest.approx(0.04), True)}


def test_of_equally_good_members_the_first_said_stands_for_the_cluster():
    assert clustered([candidate(0.5), candidate(0.5)], [0, 0], PLAN)[0].best == 0


def test_a_narrower_wording_adds_nothing_and_a_second_concept_does():
    """Images 0…5 show one thing, 6…11 another; the narrow wording fits 0…3 alone."""
    silent = "n" * 24
    one, other = fits("y" * 6 + "n" * 6, silent), fits("n" * 6 + "y" * 6, silent)
    narrow = fits("y" * 4 + "n" * 8, silent)

    assert adding([("narrow", narrow), ("one", one), ("other", other)]) == ["one", "other"]


def test_a_wider_wording_that_claims_silent_images_for_what_is_left_adds_nothing():
    """Of the images that "red square" leaves, "square" fits one active of six and four silent of 24."""
    exact = fits("y" * 6 + "n" * 6, "n" * 24)
    wide = fits("y" * 7 + "n" * 5, "y" * 4 + "n" * 20)

    assert adding([("wide", wide), ("exact", exact)]) == ["exact"]


def test_the_best_one_always_stays():
    assert adding([("weak", fits("yn", "nn"))]) == ["weak"]
    assert adding([]) == []


def test_many_wordings_of_one_meaning_do_not_lower_its_p():
    """Of three, the second smallest times 3/2; the same wording again is no further one."""
    members = [
        candidate(0.5, p).model_copy(update={"text": t}) for t, p in zip("abcC", (0.01, 0.02, 0.9, 0.9), strict=True)
    ]

    (cluster,) = clustered(members, [0, 0, 0, 0], PLAN)

    assert cluster.p == pytest.approx(0.03)
    assert cluster.kept
