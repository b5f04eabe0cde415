"""Which of two crops fits better: hand-made judges on twelve pairs in both orders."""

import pytest
from asking import ByRule, outcome_of, shown
from builders import exemplars, explanation, feature
from trial import scored, subject

from autointerp.lmm.cache import Cache
from autointerp.lmm.request import Request
from autointerp.schema import Unscored
from autointerp.statistics.rates import wilson


def knows(request: Request) -> dict[str, object]:
    """Names the active one: below 100."""
    first, second = shown(request)
    assert (first < 100) != (second < 100)
    return {"better": 1 if first < 100 else 2}


@pytest.mark.parametrize("layout", ["sheet", "separate"])
def test_who_knows_the_active_one_scores_one(cache: Cache, layout: str):
    client = ByRule(knows)

    found = scored(outcome_of("choice", cache, client, settings={"layout": layout}))

    assert (found.value, found.high, found.n) == (1.0, 1.0, 24)
    # Twelve pairs, not twenty-four answers: none wrong leaves room for three (the rule of three).
    assert 0.65 < found.low < 0.82
    assert (found.details["pairs"], found.details["first"], found.details["consistent"]) == (12, 0.5, 1.0)
    assert found.details["p"] == 0.5**12
    assert found.controls["chance"].value == 0.5
    assert {len(r.pictures) for r in client.requests} == {1 if layout == "sheet" else 2}
    assert {p.columns for r in client.requests for p in r.pictures} == {2 if layout == "sheet" else 0}


def test_who_always_says_the_first_scores_one_half_and_shows_it(cache: Cache):
    found = scored(outcome_of("choice", cache, ByRule(lambda r: {"better": 1})))

    assert found.value == 0.5
    assert (found.details["first"], found.details["consistent"], found.details["p"]) == (1.0, 0.0, 1.0)


def test_who_prefers_the_silent_one_scores_nothing(cache: Cache):
    found = scored(outcome_of("choice", cache, ByRule(lambda r: {"better": 2 if shown(r)[0] < 100 else 1})))

    assert (found.value, found.low, found.details["p"]) == (0.0, 0.0, 1.0)


def test_look_alikes_and_guesses_are_told_apart(cache: Cache):
    rows = (
        *exemplars("top", range(12)),
        *exemplars("silent", range(100, 106), activation=0),
        *exemplars("guided", range(200, 206), activation=0),
    )

    def guesses_at_look_alikes(request: Request) -> dict[str, object]:
        first, second = shown(request)
        if max(first, second) >= 200:
            return {"better": 1, "sure": False}
        return {"better": 1 if first < 100 else 2}

    found = scored(outcome_of("choice", cache, ByRule(guesses_at_look_alikes), about=feature(rows)))

    # Of six pairs with any silent image twelve answers were right; of six with a look-alike one order of each.
    details = found.details
    assert (details["easy"], details["easy_low"], details["silent_undecided"]) == (1.0, wilson(6, 6).low, 0)
    assert (details["hard"], details["hard_high"], details["guided_undecided"]) == (0.5, wilson(3, 6).high, 12)
    assert details["undecided"] == 12


def test_every_image_is_in_one_pair_only(cache: Cache):
    client = ByRule(knows)

    outcome_of("choice", cache, client)

    pairs = {frozenset(shown(r)) for r in client.requests}
    assert len(pairs) == 12
    assert len(frozenset().union(*pairs)) == 24


def test_a_pair_counts_as_many_images_as_it_stands_for(cache: Cache):
    # Six uniform silent images stand for 600 images, six guided ones for 150; the judge is fooled by the guided ones.
    rows = (
        *exemplars("top", range(12)),
        *exemplars("silent", range(100, 106), activation=0, probability=0.01),
        *exemplars("guided", range(200, 206), activation=0, probability=0.04),
    )

    def fooled(request: Request) -> dict[str, object]:
        return {"better": 1 + (shown(request)[0] < 100)} if max(shown(request)) >= 200 else knows(request)

    found = scored(outcome_of("choice", cache, ByRule(fooled), about=feature(rows)))

    assert found.value == pytest.approx(600 / 750)
    assert (found.details["silent_right"], found.details["silent_n"]) == (12, 12)
    assert (found.details["guided_right"], found.details["guided_n"]) == (0, 12)
    # Half of the twelve pairs, unweighted.
    assert found.details["p"] == pytest.approx(0.6128, abs=1e-4)


def test_orders_without_an_answer_count_half_and_widen_the_interval(cache: Cache):
    def only_first(request: Request) -> dict[str, object] | None:
        return knows(request) if shown(request)[0] < 100 else None

    found = scored(outcome_of("choice", cache, ByRule(only_first)))
    whole = scored(outcome_of("choice", cache, ByRule(knows)))

    assert found.value == 0.75
    assert found.details["unanswered"] == 12
    # Every second answer wrong at worst, right at best.
    assert found.low < 0.5 < whole.low
    assert found.high == 1.0
    assert found.details["consistent"] is None


def test_fewer_images_give_fewer_pairs(cache: Cache):
    found = scored(outcome_of("choice", cache, ByRule(knows), about=subject(n_top=7, n_silent=30)))

    assert (found.details["pairs"], found.n) == (7, 14)


def test_fewer_pairs_than_activation_strata_are_asked_as_well(cache: Cache):
    rows = (
        *exemplars("top", range(8)),
        *exemplars("q2", range(8, 16)),
        *exemplars("q1", range(16, 24)),
        *exemplars("silent", range(100, 140), activation=0, probability=0.01),
    )

    found = scored(outcome_of("choice", cache, ByRule(knows), about=feature(rows), settings={"n_choice": 2}))

    assert found.details["pairs"] == 2


def test_what_cannot_be_asked_is_unscored(cache: Cache):
    client = ByRule(knows)
    none = explanation().model_copy(update={"none": True, "text": ""})

    said = [outcome_of("choice", cache, client, said=none), outcome_of("choice", cache, client, about=subject(4))]

    reasons = [o.reason for o in said if isinstance(o, Unscored)]
    assert reasons[0] == "the explainer found no common property"
    assert "4 held-out active images, 5 are needed" in reasons[1]
    assert client.asked == 0
