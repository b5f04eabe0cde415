"""Several explanations of one feature, each scored by itself on the images of all of them."""

import asyncio
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from builders import exemplars, explanation, several
from trial import ByText, make_case, outcomes, scored, subject

from autointerp.lmm.cache import Cache
from autointerp.lmm.outcomes import DEFERRED, CallError, Failure
from autointerp.schema import Explanation, Feature, FeatureRow
from autointerp.scoring.case import Case, Outcome
from autointerp.scoring.controls import FRAMING
from autointerp.scoring.disjuncts import overlap
from autointerp.scoring.distractors import Distractors
from autointerp.scoring.scorer_list import SCORERS
from autointerp.statistics.resampling import one_look

RED, BLUE = "red circle", "blue square"
BOTH = several(RED, BLUE)
"""Its text: `red circle; or blue square`."""
TEN = subject(n_top=10)
"""Fires on images 0…9, all of which are judged."""


def truly(image: int, text: str) -> str:
    """Red circles are on images 0…5, blue squares on 6…9."""
    fits = {RED: image < 6, BLUE: 6 <= image < 10, BOTH.text: image < 10}
    return "yes" if fits.get(text) else "no"


def told_by(cache: Cache, rule: Callable[[int, str], str], **trial: object) -> Outcome:
    """Detection's word on 10 active and 30 silent images under the two explanations."""
    case = make_case(cache, ByText(rule), **({"about": TEN, "said": BOTH, "scorers": ["detection"]} | trial))  # pyright: ignore
    return outcomes(case)["detection"]


class Late(ByText):
    """Answers what has been asked of it before `turn` and writes the rest down, as a batch job does."""

    def __init__(self, rule: Callable[[int, str], str]) -> None:
        super().__init__(rule)
        self.written: set[str] = set()
        self.answered: set[str] = set()

    def turn(self) -> None:
        """The batch job is over."""
        self.answered |= self.written

    def said_of(self, image: int, text: str) -> str:
        self.written.add(text)
        if text not in self.answered:
            raise CallError(DEFERRED, "written into a batch file", again=False)
        return super().said_of(image, text)


def detect(case: Case) -> Outcome:
    return asyncio.run(SCORERS["detection"](case))  # pyright: ignore[reportArgumentType]


def test_each_part_recalls_its_share_and_together_they_are_the_whole(cache: Cache):
    score = scored(told_by(cache, truly))

    red, blue = score.parts
    assert (red.text, blue.text) == (RED, BLUE)
    assert (score.value, red.precision, blue.precision) == (1.0, 1.0, 1.0)
    assert (red.recall, blue.recall) == pytest.approx((0.6, 0.4))
    assert (red.value, blue.value) == pytest.approx((2 * 0.6 / 1.6, 2 * 0.4 / 1.4))
    assert (score.details["union_f1"], score.details["overlap"]) == (1.0, 0.0)
    assert (score.details["union_f1_low"], score.details["union_f1_high"]) == (score.low, score.high)
    assert "parts_unanswered" not in score.details


def test_a_parts_interval_holds_its_value_and_is_wider_than_nothing(cache: Cache):
    score = scored(told_by(cache, truly))

    assert all(p.low < p.value < p.high for p in score.parts)


def test_parts_are_asked_of_the_very_sheets_of_the_whole(cache: Cache):
    case = make_case(cache, client := ByText(truly), about=TEN, said=BOTH, scorers=["detection"])

    score = scored(outcomes(case)["detection"])

    shown = {text: [r.pictures for r in client.requests if r.subject == text] for text in (BOTH.text, RED, BLUE)}
    assert len(shown[RED]) == 5  # 40 images, eight a call
    assert sorted(map(str, shown[RED])) == sorted(map(str, shown[BLUE])) == sorted(map(str, shown[BOTH.text]))
    assert (score.usage.calls, score.usage.input_tokens) == (15, 1500)


def test_one_explanation_has_no_parts_and_costs_no_more(cache: Cache):
    alone = explanation(text=RED)
    case = make_case(cache, client := ByText(truly), about=TEN, said=alone, scorers=["detection"])

    score = scored(outcomes(case)["detection"])

    assert (score.parts, client.asked) == ((), 5)
    assert not {"union_f1", "overlap"} & set(score.details)


def test_overlap_is_what_more_than_one_part_claims(cache: Cache):
    def wide(image: int, text: str) -> str:
        return "yes" if image < 8 and text == RED else truly(image, text)

    score = scored(told_by(cache, wide))

    assert score.details["overlap"] == pytest.approx(0.2)  # images 6 and 7 of ten
    assert [p.recall for p in score.parts] == pytest.approx([0.8, 0.4])


def test_overlap_weighs_images_by_what_they_stand_for_and_unsure_by_half():
    judged = one_look(np.array([1.0, 1, 0]), np.zeros(3), np.array([1.0, 3, 96]), np.array([0, 0, 1]))
    beliefs = np.array([[1.0, 1.0, 1.0], [0.5, 0.0, 1.0], [1.0, 0.0, 1.0]])

    # Of four images two parts claim the first; the third, silent one counts nowhere.
    assert overlap(judged, beliefs) == pytest.approx(1 / 4)
    assert overlap(judged, beliefs[:2]) == pytest.approx(0.5 / 4)


def test_a_disjunction_that_the_judge_muddles_shows_beside_its_parts(cache: Cache):
    def muddled(image: int, text: str) -> str:
        return "no" if text == BOTH.text and image >= 6 else truly(image, text)

    score = scored(told_by(cache, muddled))

    assert score.value == pytest.approx(2 * 0.6 / 1.6)
    assert score.details["union_f1"] == 1.0


def test_a_refused_part_widens_its_interval_and_leaves_the_others_as_they_are(cache: Cache):
    def refusing(image: int, text: str) -> str:
        if text == BLUE and image == 7:
            raise CallError("refused", "not this one", again=False)
        return truly(image, text)

    # One image a call, so that a refused one costs no other.
    alone = {"per_call": 1}
    case = make_case(cache, ByText(refusing), about=TEN, said=BOTH, scorers=["detection"], settings=alone)
    score = scored(outcomes(case)["detection"])

    whole = scored(told_by(cache, truly, settings=alone))
    assert score.parts[0] == whole.parts[0]
    blue, answered = score.parts[1], whole.parts[1]
    assert score.details["parts_unanswered"] == 1
    # Nine of ten answered, three of them yes: the missing one counts 3/9.
    assert blue.recall == pytest.approx((3 + 3 / 9) / 10)
    assert blue.low < answered.low
    # Red or blue, of image 7 only blue could be true: the union is open there too.
    assert float(str(score.details["union_f1_low"])) < whole.low
    assert "refused" in {gap.kind for gap in case.gaps}


def test_what_another_part_says_yes_to_is_in_the_union_whatever_stays_unanswered(cache: Cache):
    def refusing(image: int, text: str) -> str:
        if text == BLUE and image == 2:
            raise CallError("refused", "not this one", again=False)
        return truly(image, text)

    score = scored(told_by(cache, refusing, settings={"per_call": 1}))

    assert score.details["parts_unanswered"] == 1
    assert (score.details["union_f1"], score.details["union_f1_low"]) == (1.0, score.low)


def test_a_part_without_any_answer_on_a_side_is_a_failure_and_no_number(cache: Cache):
    def mute(image: int, text: str) -> str:
        if text == BLUE and image < 10:
            raise CallError("refused", "not these", again=False)
        return truly(image, text)

    outcome = told_by(cache, mute, settings={"per_call": 1})

    assert isinstance(outcome, Failure)
    assert outcome.kind == "refused"


def test_a_failure_that_may_pass_leaves_the_feature_pending(cache: Cache):
    def down(image: int, text: str) -> str:
        if text == BLUE:
            raise CallError("http_503", "come back", again=False)
        return truly(image, text)

    assert told_by(cache, down) == Failure("http_503", "come back", 1)


def test_a_batch_job_is_given_all_texts_in_one_round(cache: Cache):
    others = Distractors("another text", ("a neighbour",))
    client = Late(truly)

    def once() -> Outcome:
        return detect(make_case(cache, client, about=TEN, said=BOTH, distractors=others, controlled=True))

    first = once()
    asked = client.written.copy()
    client.turn()
    second = once()

    assert isinstance(first, Failure)
    assert first.kind == DEFERRED
    assert asked == {BOTH.text, RED, BLUE, "an image", "another text", "a neighbour", *FRAMING.values()}
    assert len(scored(second).parts) == 2


@pytest.mark.parametrize("settings", [{"interval": 0.001, "max_calls": 8}, {"n_screen": 40, "screen_per_call": 20}])
def test_a_batch_job_that_judges_in_rounds_is_given_parts_and_controls_together(cache: Cache, settings: dict):
    client, rounds, seen = Late(truly), 0, Counter[str]()

    while True:
        case = make_case(cache, client, about=large(), said=BOTH, settings=settings, controlled=True)
        outcome = detect(case)
        seen.update(dict.fromkeys(client.written - client.answered, rounds))
        if not isinstance(outcome, Failure):
            break
        assert outcome.kind == DEFERRED
        client.turn()
        rounds += 1
        assert rounds < 20

    assert seen[RED] == seen[BLUE] == seen["an image"]
    assert len(scored(outcome).parts) == 2


def large() -> Feature:
    """Fires on 10 images, all stored, and is silent on 990, of which 60 are."""
    rows = (*exemplars("top", range(10)), *exemplars("silent", range(100, 160), activation=0, probability=60 / 990))
    return Feature(FeatureRow(3, 8, 10, 2.0, None, None), rows)


def test_where_it_judges_on_the_parts_are_judged_on_all_the_images_of_the_whole(cache: Cache):
    settings = {"interval": 0.001, "max_calls": 7, "n_active": 10, "n_silent": 20}
    case = make_case(cache, client := ByText(truly), about=large(), said=BOTH, settings=settings)

    score = scored(detect(case))

    images = Counter(t.image for r in client.requests if r.subject == RED for p in r.pictures for t in p.tiles)
    assert score.n > 30
    assert images == Counter(v.image for v in score.verdicts)
    assert [p.recall for p in score.parts] == pytest.approx([0.6, 0.4])


def test_after_a_screening_parts_are_judged_one_by_one_where_the_whole_passed(cache: Cache):
    def lenient(image: int, text: str) -> str:
        return "yes" if image in (100, 110, 120) and text != BLUE else truly(image, text)

    settings = {"n_screen": 60, "screen_per_call": 20, "n_silent": 12}
    case = make_case(cache, client := ByText(lenient), about=large(), said=BOTH, settings=settings)

    score = scored(detect(case))

    asked = [r for r in client.requests if r.subject == RED]
    assert all(len(p.tiles) == 1 for r in asked for p in r.pictures)
    images = {t.image for r in asked for p in r.pictures for t in p.tiles}
    # All that fire it, and the silent ones that the sheets let through; the cleared ones fit no part either.
    assert images == {*range(10), 100, 110, 120}
    red, blue = score.parts
    assert blue.precision == 1.0
    assert red.precision < 1.0
    assert score.details["union_f1"] == pytest.approx(score.value)


class Shy(ByText):
    """Lets images 100, 110 and 120 through on a sheet, and refuses to look at them alone."""

    def __init__(self, under: set[str]) -> None:
        super().__init__(lambda image, text: "yes" if image in (100, 110, 120) else truly(image, text))
        self.under = under

    def said_of(self, image: int, text: str) -> str:
        alone = len(self.requests[-1].images) == 1
        if alone and image in (100, 110, 120) and text in self.under:
            raise CallError("refused", "I'd rather not look", again=False)
        return super().said_of(image, text)


@pytest.mark.parametrize("under", [{BOTH.text, RED, BLUE}, {RED}])
def test_parts_are_scored_where_all_silent_images_left_to_look_at_are_refused(cache: Cache, under: set[str]):
    settings = {"n_screen": 60, "screen_per_call": 20, "n_silent": 12}
    case = make_case(cache, Shy(under), about=large(), said=BOTH, settings=settings)

    score = scored(detect(case))

    # The silent images that the sheets cleared fit no part; the three that were let through may fit, or not.
    red = score.parts[0]
    assert (red.text, red.recall) == (RED, 0.6)
    assert red.value == pytest.approx(2 * 6 / (10 + 6))
    # Each stands for 16.5 images, none of which may be one.
    assert red.low < 2 * 6 / (10 + 6 + 3 * 16.5)
    assert score.details["parts_unanswered"] == 3 * len({RED, BLUE} & under)


def test_parts_are_those_of_the_kept_explanations_alone():
    alone: Explanation = several(RED)

    assert (alone.parts, BOTH.parts) == ((), (RED, BLUE))
