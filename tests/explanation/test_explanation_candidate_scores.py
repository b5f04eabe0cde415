"""The images of the choice, and what the judge says on them."""

import asyncio

import numpy as np
from builders import exemplars, explanation, feature, image_rows, sampled
from trial import ByImage, open_trial_door

from autointerp.evidence import Shown
from autointerp.explanation.candidate_scores import (
    Tried,
    choosing_sample,
    further_images,
    judging_settings,
    tried,
)
from autointerp.lmm.cache import Cache
from autointerp.lmm.outcomes import CallError, Failure
from autointerp.prompts import load_prompt
from autointerp.schema import Feature
from autointerp.scoring.judge import Judge
from autointerp.scoring.sampling import Sample, make_pool
from autointerp.settings import CandidateSettings, ModelSettings

PLAN = CandidateSettings()
SETTINGS = judging_settings(PLAN, seed=0, silent_below=0.5)
SHOWN = (0, 1, 2, 100)
ABOUT = feature(
    (
        *exemplars("top", range(20)),
        *exemplars("q2", range(20, 29)),
        *exemplars("guided", range(100, 108), activation=0),
        *exemplars("silent", range(200, 240), activation=0, probability=0.01),
    )
)


def chosen(about: Feature = ABOUT, plan: CandidateSettings = PLAN, groups: dict[int, str] | None = None) -> Sample:
    rows = image_rows((e.image for e in about.exemplars), groups=groups)
    return choosing_sample(
        about, SHOWN, rows, judging_settings(plan, seed=0, silent_below=0.5), grid=None, n_images=1000
    )


def ids(sample: Sample) -> list[int]:
    return [i.exemplar.image for i in sample.items]


def judged(cache: Cache, client: ByImage) -> Tried | Failure:
    judge = Judge(ModelSettings(model="judge"), SETTINGS, load_prompt("judge", None))
    return asyncio.run(tried("a star", chosen().items, judge, open_trial_door(cache, client)))


def test_no_image_of_the_choice_was_shown_nor_is_a_near_duplicate_of_one():
    """Images 3…9 are of one group with 0, which is shown."""
    found = ids(chosen(groups=dict.fromkeys((0, *range(3, 10)), "g")))

    assert not set(found) & {*SHOWN, *range(3, 10)}
    assert len(found) == len(set(found))


def test_the_choice_takes_as_many_as_wanted():
    found = chosen()

    # The top makes up for the fewer of q2. Of 24 silent wanted, half of 7 guided is 3 and half of 40 others 20.
    of = [i.exemplar.stratum for i in found.items]
    assert {name: of.count(name) for name in set(of)} == {"top": 8, "q2": 4, "guided": 3, "silent": 20}


def test_fewer_are_spread_as_those_that_are_scored():
    found = chosen(plan=CandidateSettings(n_active=4, n_silent=4))

    of = [i.exemplar.stratum for i in found.items]
    assert {name: of.count(name) for name in set(of)} == {"top": 2, "q2": 2, "guided": 3, "silent": 1}


def test_the_choice_takes_at_most_half_of_each_stratum():
    """Held out are 17 of top, 9 of q2, 7 guided, 40 silent."""
    found = chosen(plan=CandidateSettings(n_active=500, n_silent=500))

    of = [i.exemplar.stratum for i in found.items]
    assert {name: of.count(name) for name in set(of)} == {"top": 8, "q2": 4, "guided": 3, "silent": 20}


def test_further_images_are_others_that_are_kept_for_choosing_and_active_ones_that_were_shown():
    """After 4 active and 4 silent images 8 and 2 more are wanted; after 12 and 24 only shown ones are left."""
    few, usual = CandidateSettings(n_active=4, n_silent=4), PLAN
    by_image = {e.image: e for e in ABOUT.exemplars}
    shown = Shown(tuple(by_image[i] for i in SHOWN[:3]), (by_image[100],))
    rows = image_rows(by_image)

    def further(plan: CandidateSettings) -> list[int]:
        settings = judging_settings(plan, seed=0, silent_below=0.5)
        found = further_images(ABOUT, shown, rows, settings, chosen(plan=plan), grid=None, n_images=1000)
        return [i.exemplar.image for i in found]

    new, rest = further(few), further(usual)
    everything = ids(chosen(plan=CandidateSettings(n_active=500, n_silent=500)))
    assert {0, 1, 2} < set(new)
    assert set(new) - {0, 1, 2} < set(everything) - set(ids(chosen(plan=few)))
    assert [sum(by_image[i].silent == silent for i in new) for silent in (False, True)] == [4 + 3, 2]
    assert sorted(rest) == [0, 1, 2]
    assert further(few) == new


def test_what_is_said_of_further_images_does_not_stand_for_the_population(cache: Cache):
    """Twice the same images: the first time each has its weight, the second time the explainer saw two of them."""
    judge = Judge(ModelSettings(model="judge"), SETTINGS, load_prompt("judge", None))
    gateway, items = open_trial_door(cache, ByImage(lambda image: "yes")), chosen().items
    seen = [i.exemplar.image for i in items[:2]]

    async def twice() -> Tried | Failure:
        first = await tried("a star", items, judge, gateway)
        assert isinstance(first, Tried)
        return await tried("a star", items, judge, gateway, first, seen)

    said = asyncio.run(twice())

    assert isinstance(said, Tried)
    n = len(items)
    assert said.fits.weight[:n].tolist() == [i.weight for i in items]
    assert said.fits.weight[n:].tolist() == [0] * n
    assert np.flatnonzero(said.fits.shown).tolist() == [n, n + 1]


def test_nothing_is_scored_on_images_of_the_choice_nor_their_near_duplicates():
    sample = chosen()
    first = ids(sample)[0]
    rest = sorted({e.image for e in ABOUT.exemplars} - {*ids(sample), *SHOWN})
    twin = next(i for i in rest if i < 100) if first < 100 else next(i for i in rest if i >= 100)
    groups = {first: "twins", twin: "twins"}
    found = sampled("a star").model_copy(update={"judged_on": tuple(ids(sample))})
    said = explanation(3, images=SHOWN[:3]).model_copy(update={"contrast": SHOWN[3:], "sampled": found})

    rows = image_rows((e.image for e in ABOUT.exemplars), groups=groups)
    pool = make_pool(ABOUT, said.seen, rows, SETTINGS, grid=None, n_images=1000)

    left = {e.image for own in pool.ordered.values() for e in own}
    assert left == set(rest) - {twin}


def test_the_judges_word_on_each_image_is_kept_with_whether_it_fires(cache: Cache):
    said = judged(cache, ByImage(lambda image: "yes" if image < 20 else "unsure" if image < 29 else "no"))

    assert isinstance(said, Tried)
    sample = chosen()
    assert said.fits.active.tolist() == [i.active for i in sample.items]
    assert said.fits.yes.tolist() == [i < 20 for i in ids(sample)]
    assert set(said.fits.belief[said.fits.active]) == {0.5, 1.0}
    assert said.gaps == ()


def test_an_answer_that_stays_away_for_good_is_a_gap(cache: Cache):
    said = judged(cache, ByImage(CallError("refused", "no", again=False)))

    assert isinstance(said, Tried)
    assert np.isnan(said.fits.belief).all()
    assert said.fits.score is None
    assert {g.kind for g in said.gaps} == {"refused"}


def test_a_failure_that_may_pass_is_no_verdict(cache: Cache):
    said = judged(cache, ByImage(CallError("http_500", "later", again=True)))

    assert isinstance(said, Failure)
    assert said.kind == "http_500"


def test_near_duplicates_of_the_choice_cost_scoring_half_of_a_stratum_at_most():
    """The top's 17 held-out images stand in pairs: four pairs are 8 of them, and one of each pair is judged."""
    pairs = {image: f"pair {image // 2}" for image in range(20)}
    plan = CandidateSettings(n_active=12)
    found = chosen(plan=plan, groups=pairs)

    of_top = [i.exemplar.image for i in found.items if i.exemplar.stratum == "top"]
    assert len({pairs[image] for image in of_top}) == len(of_top)
    lost = [i for i in range(20) if pairs[i] in {pairs[image] for image in of_top}]
    assert len(lost) <= 17 // 2
