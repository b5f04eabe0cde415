"""Images near the threshold count neither as active nor as silent; the score is given with and without them."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from asking import ByRule, outcome_of, shown
from builders import exemplars, explanation, image_rows
from trial import ByImage, make_case, outcomes, scored

from autointerp.lmm.cache import Cache
from autointerp.schema import Exemplar, Feature, FeatureRow, Scored, Unscored
from autointerp.scoring.sampling import make_pool
from autointerp.settings import ScoreSettings

THRESHOLD = 2.0
NEAR, FAR = range(100, 110), range(110, 190)
"""Of 90 silent rows of 900 images, 10 reach nine tenths of the threshold, and the others a tenth."""


def subject(reached: dict[int, float | None] | None = None, *, threshold: float = THRESHOLD) -> Feature:
    """Fires on 100 of 1000 images, 20 of which are stored; a tenth of the silent ones is."""
    levels = dict.fromkeys(NEAR, 0.9 * THRESHOLD) | dict.fromkeys(FAR, 0.1 * THRESHOLD) | (reached or {})
    silent = exemplars("silent", [*NEAR, *FAR], activation=0.0, probability=0.1)
    rows = (
        *exemplars("top", range(20), activation=5),
        *(replace(e, silent_activation=levels[e.image]) for e in silent),
    )
    return Feature(FeatureRow(3, 8, 100, 5.0, None, None), rows, threshold)


def fires_softly(image: int) -> str:
    """The concept holds on what fires the feature and on what nearly does."""
    return "yes" if image < 110 else "no"


def has_a_hard_boundary(image: int) -> str:
    """The concept holds on what fires the feature alone."""
    return "yes" if image < 100 else "no"


def score_of(cache: Cache, judge: ByImage, about: Feature | None = None, **settings: object) -> Scored:
    case = make_case(cache, judge, about=about or subject(), settings={"n_silent": 60, "silent_below": 0.5, **settings})
    return scored(outcomes(case)["detection"])


def figures(score: Scored) -> tuple[float, object, object]:
    return score.value, score.details["f1_without_margin"], score.details["f1_with_margin"]


def test_a_concept_that_fires_softly_scores_high_without_the_margin(cache: Cache):
    score = score_of(cache, ByImage(fires_softly))

    # With it, 100 images of the population are false yeses beside 100 right ones: 2 · 100 / (100 + 200).
    assert figures(score) == (1.0, 1.0, pytest.approx(2 / 3))
    assert score.details["margin_share"] == pytest.approx(0.1)
    assert (score.details["silent_below"], score.details["n_margin"]) == (0.5, 10)


def test_with_a_hard_boundary_both_figures_agree(cache: Cache):
    assert figures(score_of(cache, ByImage(has_a_hard_boundary))) == (1.0, 1.0, 1.0)


def test_a_dump_without_images_near_the_threshold_has_one_figure(cache: Cache):
    far = subject(dict.fromkeys(NEAR, 0.0))

    score = score_of(cache, ByImage(lambda image: "yes" if image < 130 else "no"), far)

    assert score.details["margin_share"] == 0.0
    assert score.value == score.details["f1_with_margin"] == score.details["f1_without_margin"] < 0.7


def test_what_is_near_can_count_as_silent(cache: Cache):
    score = score_of(cache, ByImage(fires_softly), silent_below=1, n_silent=90)

    assert score.value == pytest.approx(2 / 3)
    assert "f1_with_margin" not in score.details
    assert score.margin == ()


def test_an_unknown_margin_is_told(cache: Cache):
    unknown = subject(dict.fromkeys([*NEAR, *FAR]))

    score = score_of(cache, ByImage(fires_softly), unknown, n_silent=90)

    assert score.value == pytest.approx(2 / 3)
    assert score.details["margin"] == "unknown"
    assert "f1_with_margin" not in score.details
    partly = score_of(cache, ByImage(fires_softly), subject(dict.fromkeys(FAR[:9])))
    assert partly.details["margin_unknown"] == pytest.approx(0.1)


def test_at_a_threshold_of_0_there_is_no_margin(cache: Cache):
    score = score_of(cache, ByImage(fires_softly), subject(threshold=0.0), n_silent=90)

    assert score.value == pytest.approx(2 / 3)
    assert not {"margin", "f1_with_margin", "margin_share"} & score.details.keys()


def test_verdicts_near_the_threshold_are_kept_apart_and_weigh_their_share(cache: Cache):
    score = score_of(cache, ByImage(fires_softly))

    assert {v.image for v in score.margin} == set(NEAR)
    assert not {v.image for v in score.verdicts} & set(NEAR)
    assert sum(v.weight for v in score.margin) == pytest.approx(100)
    assert sum(v.weight for v in score.verdicts if not v.active) == pytest.approx(800)
    assert score.n == len(score.verdicts) == 60
    assert score.controls["always_yes"].value == pytest.approx(2 * 100 / (100 + 900))


def test_one_near_image_is_judged_for_each_five_others(cache: Cache):
    score = score_of(cache, ByImage(fires_softly), n_silent=36)

    assert (len(score.margin), score.details["n_silent"]) == (6, 30)


def test_judging_on_narrows_the_interval_without_the_margin(cache: Cache):
    judge = ByImage(lambda image: "yes" if image < 100 or image in NEAR[:5] else "no")

    first = score_of(cache, judge)
    wanted = first.high - first.low + 0.02
    score = score_of(cache, judge, interval=wanted)

    assert float(str(first.details["f1_with_margin_high"])) - float(str(first.details["f1_with_margin_low"])) > wanted
    assert (score.n, score.details["interval_met"]) == (first.n, True)


def test_a_screening_leaves_the_margin_out(cache: Cache):
    judge = ByImage(fires_softly)

    score = score_of(cache, judge, n_silent=20, n_screen=60)

    assert not {tile.image for r in judge.requests for p in r.pictures for tile in p.tiles} & set(NEAR)
    assert score.value == 1.0
    assert "f1_with_margin" not in score.details
    assert score.details["margin_share"] == pytest.approx(0.1)


def test_where_too_few_images_are_clearly_silent_the_reason_names_the_option(cache: Cache):
    nearly = subject(dict.fromkeys(FAR[3:], 0.8 * THRESHOLD))

    case = make_case(cache, ByImage(fires_softly), about=nearly, settings={"silent_below": 0.5})
    outcome = outcomes(case)["detection"]

    assert isinstance(outcome, Unscored)
    assert outcome.reason.startswith("3 held-out silent images, 5 are needed; ")
    assert outcome.reason.endswith("or count those near the threshold (--silent-below 1)")


@pytest.mark.parametrize(("scorer", "reply"), [("choice", {"better": 1}), ("intruder", {"odd": 1})])
def test_no_other_scorer_takes_an_image_near_the_threshold_for_silent(cache: Cache, scorer: str, reply: dict):
    judge = ByRule(lambda request: reply)

    outcome_of(scorer, cache, judge, about=subject(), settings={"silent_below": 0.5, "n_choice": 60, "n_intruder": 40})

    asked = {image for request in judge.requests for image in shown(request)}
    assert asked & set(FAR)
    assert not asked & set(NEAR)


def population() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of 1000 silent images: how far each came, its chance to be drawn as a look-alike, and whether a text fits it."""
    chance = np.random.default_rng(1)
    reached = np.where(chance.random(1000) < 0.2, chance.uniform(0, THRESHOLD, 1000), 0.0)
    guided = np.clip(0.01 + 0.3 * reached / THRESHOLD, 0, 0.5)
    fits = chance.random(1000) < 0.1 + 0.4 * reached / THRESHOLD
    return reached, guided, fits


def drawn_rows(seed: int) -> Iterator[Exemplar]:
    """A uniform draw of 120 and an independent one of look-alikes; either brings an image in."""
    reached, guided, _ = population()
    chance = np.random.default_rng(seed)
    uniform = set(chance.choice(1000, 120, replace=False).tolist())
    alike = set(np.flatnonzero(chance.random(1000) < guided).tolist())
    for i in sorted(uniform | alike):
        p = 1 - (1 - 0.12) * (1 - float(guided[i]))
        level = float(reached[i])
        yield Exemplar(100 + i, level, "guided" if i in alike else "silent", p, None, None, level)


def test_totals_with_and_without_the_margin_are_those_of_the_population():
    """Over 120 harvests of which four images below the margin were shown; four standard errors are allowed."""
    reached, _, fits = population()
    near = reached > 0.5 * THRESHOLD
    settings = ScoreSettings(n_active=5, n_silent=48, silent_below=0.5)
    found = []
    for seed in range(120):
        rows = (*exemplars("top", range(20), activation=5), *drawn_rows(seed))
        about = Feature(FeatureRow(3, 8, 20, 5.0, None, None), rows, THRESHOLD)
        below = [e.image for e in rows if e.stratum == "guided" and not about.in_margin(e, 0.5)]
        seen = explanation(contrast=Random(seed).sample(below, 4)).seen
        pool = make_pool(about, seen, image_rows(e.image for e in rows), settings, grid=None, n_images=1020)
        silent = pool.draw(5, 48).silent
        total = {
            side: sum(i.weight * fits[i.exemplar.image - 100] for i in silent if i.margin == side) for side in (0, 1)
        }
        found.append((total[0], total[1], sum(i.weight for i in silent if not i.margin)))
    truth = np.array([np.sum(fits & ~near), np.sum(fits & near), np.sum(~near)])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(mean - truth) <= 4 * error + 0.01 * truth)
    assert np.all(error < 0.06 * truth)
