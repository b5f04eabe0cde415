import asyncio
import itertools
import random
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from builders import exemplars, explanation
from trial import ByImage, ByText, make_case, outcomes, scored

from autointerp.lmm.cache import Cache
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import Answer, CallError, Failure
from autointerp.lmm.request import Request
from autointerp.prompts import load_prompt
from autointerp.replies import Reply
from autointerp.schema import Feature, FeatureRow, Usage
from autointerp.scoring.adaptive_sampling import confidence
from autointerp.scoring.distractors import Distractors
from autointerp.scoring.judge import Judge, Judgements
from autointerp.scoring.sampling import Item
from autointerp.settings import ModelName, ModelSettings, ScoreSettings

R = TypeVar("R", bound=Reply)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    """Of one test."""
    with Cache(tmp_path / "answers") as cache:
        yield cache


def large(n_silent: int = 600) -> Feature:
    """Fires on 100 of 10,000 images: 60 of them stored, and so many silent ones."""
    rows = (
        *exemplars("top", range(20)),
        *exemplars("q1", range(20, 60), probability=0.5),
        *exemplars("silent", range(1000, 1000 + n_silent), activation=0, probability=n_silent / 9900),
    )
    return Feature(FeatureRow(3, 8, 100, 2.0, None, None), rows)


def truly(image: int) -> str:
    return "yes" if image < 100 else "no"


def wrong(image: int) -> CallError:
    return CallError("refused", f"not of {image}", again=False)


class Refuses(ByImage):
    """Refuses every call that shows one of these images."""

    def __init__(self, images: set[int]) -> None:
        super().__init__(truly)
        self.refused = images

    def said_of(self, image: int, text: str) -> str:
        if image in self.refused:
            raise wrong(image)
        return super().said_of(image, text)


def test_judging_goes_on_until_the_interval_is_as_narrow_as_asked(cache: Cache):
    asked = {"interval": 0.3, "max_calls": 100, "n_active": 10, "n_silent": 10}

    narrow = scored(
        outcomes(make_case(cache, ByImage(truly), about=large(), n_images=1000, settings=asked))["detection"]
    )

    assert narrow.high - narrow.low <= 0.3
    assert narrow.details["interval_met"] is True
    assert narrow.n > 20
    assert len({v.image for v in narrow.verdicts}) == narrow.n


@pytest.mark.parametrize("width", [0.25, 0.35, 0.5])
def test_whatever_stops_before_the_cap_has_an_interval_as_narrow_as_asked(cache: Cache, width: float):
    for seed in range(4):
        asked = {"interval": width, "max_calls": 30, "n_active": 10, "n_silent": 10, "seed": seed, "bootstrap": 1000}
        client = ByImage(truly)
        score = scored(outcomes(make_case(cache, client, about=large(), n_images=1000, settings=asked))["detection"])
        met = score.high - score.low <= width
        assert score.details["interval_met"] is met
        assert met or score.usage.calls == 30


def test_the_level_of_an_interval_that_was_looked_at_rises_with_each_doubling_of_the_images(cache: Cache):
    looked = make_case(cache, ByImage(truly), about=large(), settings={"interval": 0.1, "n_active": 10, "n_silent": 10})
    once = make_case(cache, ByImage(truly), about=large(), settings={"n_active": 10, "n_silent": 10})

    # 20 images at first; of two doublings each look gets a third of the 5 %.
    assert confidence(20, looked.pool) == 0.95
    assert confidence(80, looked.pool) == pytest.approx(1 - 0.05 / 3)
    assert confidence(80, once.pool) == 0.95


def test_judging_on_stops_at_the_cap_of_calls(cache: Cache):
    client = ByImage(truly)
    asked = {"interval": 0.001, "max_calls": 7, "n_active": 10, "n_silent": 10}

    score = scored(outcomes(make_case(cache, client, about=large(), settings=asked))["detection"])

    assert client.asked == 7
    assert score.n == 20 + 4 * 8  # three calls of the first 20 images, then eight a call


def test_judging_on_asks_of_no_image_twice(cache: Cache):
    client = ByImage(truly)
    asked = {"interval": 0.001, "max_calls": 12}

    outcomes(make_case(cache, client, about=large(), settings=asked, scorers=["detection"]))

    seen = [tile.image for request in client.requests for p in request.pictures for tile in p.tiles]
    assert len(seen) == len(set(seen))


def test_further_images_go_where_the_interval_of_f1_gains_by_them(cache: Cache):
    # Fires on 60 of 6060 images, all of which fit: F1 is 2/102. With f = F1 a yes more moves it by 2 - f an active
    # image and by f a silent one, so that 60 · 1.98 active ones are worth as much as 6000 · 0.0198 silent ones.
    rows = (*exemplars("top", range(60)), *exemplars("silent", range(1000, 1600), activation=0, probability=0.1))
    feature = Feature(FeatureRow(3, 8, 60, 2.0, None, None), rows)
    asked = {"interval": 0.001, "max_calls": 5, "n_active": 10, "n_silent": 10, "per_call": 10}

    client = ByImage(lambda image: "yes")
    outcomes(make_case(cache, client, about=feature, n_images=6060, settings=asked, scorers=["detection"]))

    further = [tile.image for request in client.requests[2:] for p in request.pictures for tile in p.tiles]
    assert len(further) == 30
    assert 13 <= sum(image < 1000 for image in further) <= 17


def test_judging_on_ends_when_every_image_is_judged(cache: Cache):
    asked = {"interval": 0.001, "max_calls": 1000}

    score = scored(outcomes(make_case(cache, ByImage(truly), settings=asked))["detection"])

    assert score.n == 60  # 20 active and 40 silent ones are all there are


def test_screening_looks_at_many_and_judges_few_with_care(cache: Cache):
    client = ByImage(lambda image: "yes" if image < 100 or image % 50 == 0 else "no")
    asked = {"n_screen": 600, "n_silent": 30}

    score = scored(outcomes(make_case(cache, client, about=large(), n_images=10_000, settings=asked))["detection"])

    # 610 images on sheets of 36 are 17 calls; then 10 active ones, the 12 let through and 18 of the cleared.
    assert (score.details["n_screened"], score.n, client.asked) == (610, 40, 17 + 40)
    assert score.details["false_positives"] == 12
    # 12 of 600 silent images fit: 2 % of 9900, beside 100 that fire.
    assert score.value == pytest.approx(2 * 100 / (100 + 100 + 9900 * 12 / 600))


def test_the_weights_of_both_phases_stand_for_the_population(cache: Cache):
    client = ByImage(lambda image: "yes" if image < 100 or image % 3 == 0 else "no")
    asked = {"n_screen": 600, "n_silent": 30}

    score = scored(outcomes(make_case(cache, client, about=large(), n_images=10_000, settings=asked))["detection"])

    assert sum(v.weight for v in score.verdicts if v.active) == pytest.approx(100)
    assert sum(v.weight for v in score.verdicts if not v.active) == pytest.approx(9900)


def test_a_cheaper_model_looks_at_the_sheets_and_the_judge_at_what_is_judged_with_care(cache: Cache):
    client = ByImage(lambda image: "yes" if image < 100 else "no")
    asked = {"n_screen": 600, "n_silent": 30, "screen_model": "cheap"}

    score = scored(outcomes(make_case(cache, client, about=large(), settings=asked))["detection"])

    by_model = {m: [len(r.pictures[0].tiles) for r in client.requests if r.model == m] for m in ("cheap", "judge")}
    assert [len(n) for n in by_model.values()] == [17, 40]
    assert min(by_model["cheap"]) > 1
    assert set(by_model["judge"]) == {1}
    assert score.value == 1.0


def test_a_silent_image_that_the_screening_cleared_counts_as_not_fitting(cache: Cache):
    # The screening clears every silent image; the careful judge, who sees one at a time, says yes to all of them.
    class Twofold(ByImage):
        def said_of(self, image: int, text: str) -> str:
            return "yes" if image < 100 or len(self.requests[-1].pictures[0].tiles) == 1 else "no"

    client = Twofold(truly)
    score = scored(
        outcomes(make_case(cache, client, about=large(), settings={"n_screen": 600, "n_silent": 30}))["detection"]
    )

    assert score.value == pytest.approx(1.0)
    assert (score.details["cleared_yes"], score.details["cleared_of"]) == (30, 30)
    assert (score.details["screening_missed"], score.details["screening_missed_of"]) == (0, 10)


def mixed() -> Feature:
    """Silent images of which a guided draw holds many of little weight."""
    rows = (
        *exemplars("top", range(20)),
        *exemplars("silent", range(1000, 1060), activation=0, probability=0.01),
        *exemplars("guided", range(2000, 2030), activation=0, probability=0.9),
        *exemplars("guided", range(2030, 2060), activation=0, probability=0.02),
    )
    return Feature(FeatureRow(3, 8, 100, 2.0, None, None), rows)


def test_a_generic_explanation_scores_the_same_by_two_phases_however_the_weights_differ(cache: Cache):
    client = ByImage(lambda image: "yes")

    case = make_case(cache, client, about=mixed(), n_images=10_000, settings={"n_screen": 120, "n_silent": 20})
    score = scored(outcomes(case)["detection"])

    # Twice the density of 1 % over one plus it.
    assert score.value == pytest.approx(0.02 / 1.01)
    assert sum(v.weight for v in score.verdicts if not v.active) == pytest.approx(9900)
    assert len({v.image for v in score.verdicts}) == score.n == 30


def test_a_refused_sheet_is_narrowed_down_to_the_image_that_was_refused(cache: Cache):
    client = Refuses({104})

    case = make_case(cache, client)
    score = scored(outcomes(case)["detection"])

    assert {v.image for v in score.verdicts if v.belief is None} == {104}
    assert score.details["unanswered"] == 1
    # Five sheets of eight, of which one is halved three times; the second half is asked about only if the first fails.
    assert 5 + 3 <= client.asked <= 5 + 6
    # The value takes it for what the others are; at best it is that. At worst it is a yes that stands for 30.
    assert score.value == pytest.approx(1.0)
    assert score.details["f1_best"] == pytest.approx(1.0)
    assert score.details["f1_worst"] == pytest.approx(200 / 230)
    assert {gap.kind for gap in case.gaps} == {"refused"}


class Sheets(Gateway):
    """Answers no to every image of a sheet, and fails for each sheet that shows one of some images."""

    def __init__(self, failing: Collection[int], kind: str = "refused", most: int = 100) -> None:
        self.failing, self.kind, self.most = failing, kind, most
        self.asked: list[list[int]] = []

    async def ask(self, request: Request, reply: type[R]) -> Answer[R] | Failure:
        own = [tile.image for picture in request.pictures for tile in picture.tiles]
        self.asked.append(own)
        if len(own) > self.most or any(image in self.failing for image in own):
            return Failure(self.kind, "not these", 1)
        return Answer(reply.model_validate({f"image_{i + 1}": "no" for i in range(len(own))}), Usage(), "m", False)


def told(items: Sequence[Item], gateway: Gateway, per_call: int = 12) -> Judgements:
    judge = Judge(ModelSettings(model=ModelName("m")), ScoreSettings(per_call=per_call), load_prompt("judge", None))
    said = asyncio.run(judge.judgements("a dog", items, gateway))
    assert isinstance(said, Judgements)
    assert said.items == tuple(items)
    return said


@pytest.mark.parametrize(
    ("per_call", "most_calls", "most_images", "most_lost"), [(12, 2.95, 1.55, 0.055), (4, 1.3, 1.15, 0.07)]
)
def test_three_refused_images_in_a_hundred_cost_others_few_answers_and_half_the_pictures_again(
    cache: Cache, per_call: int, most_calls: float, most_images: float, most_lost: float
):
    # 600 images of which the judge refuses to look at 3 % each by chance; one in three sheets of twelve has such a one.
    items = make_case(cache, ByImage(truly), about=large(620), n_images=10_000).pool.sample({"silent": 600}).items
    calls = images = lost = 0
    n = 10 * len(items)
    for seed in range(10):
        chance = random.Random(seed)
        refused = {i.exemplar.image for i in items if chance.random() < 0.03}
        gateway = Sheets(refused)
        said = told(items, gateway, per_call)
        assert refused <= said.refused
        calls += len(gateway.asked)
        images += sum(map(len, gateway.asked))
        lost += len(said.refused)

    # A sheet of 12 of which 5 % stay unanswered, the 3 % among them, takes 12 (h(.03) - .05 h(.6)) = 1.75 calls at
    # least, whatever is asked, since a call tells one bit; h is the entropy. To know each image takes 2.33 at least.
    assert calls <= most_calls * n / per_call
    assert images <= most_images * n
    assert lost <= most_lost * n


def test_broken_pictures_cost_no_other_image_of_their_sheet_its_answer(cache: Cache):
    items = make_case(cache, ByImage(truly), about=large(), n_images=10_000).pool.sample({"silent": 24}).items

    for broken in itertools.combinations([i.exemplar.image for i in items[:12]], 2):
        said = told(items, Sheets(broken, "image"))

        assert said.refused == set(broken)


@pytest.mark.parametrize("kind", ["malformed", "http_413"])
def test_a_sheet_that_fails_for_its_size_loses_no_image(cache: Cache, kind: str):
    items = make_case(cache, ByImage(truly), about=large(), n_images=10_000).pool.sample({"silent": 120}).items
    # One sheet of twelve passes, so that the judge is not mute.
    gateway = Sheets((), kind, most=6)

    said = told(items[:108], gateway, 12)

    assert not said.refused
    assert len(gateway.asked) == 9 * 3


def test_the_further_calls_for_a_sheet_are_half_as_many_as_its_images_at_most(cache: Cache):
    items = make_case(cache, ByImage(truly), about=large(), n_images=10_000).pool.sample({"silent": 120}).items
    # All of the first five sheets are refused, none of the others.
    gateway = Sheets({i.exemplar.image for i in items[:60]})

    said = told(items, gateway)

    assert len(said.refused) == 60
    assert len(gateway.asked) == 10 + 5 * 6


def test_images_that_were_refused_are_not_asked_about_under_the_controls(cache: Cache):
    client = Refuses({104})
    case = make_case(cache, client, controlled=True, distractors=Distractors(other="another one"))

    outcomes(case)

    again = client.asked - 5 - 4 * 5
    # The own text takes five sheets and what narrows one down, each of the four controls five sheets without the image.
    assert 3 <= again <= 6


def test_an_active_image_without_an_answer_stays_in_accuracys_denominator(cache: Cache):
    asked = {"n_active": 20}

    accuracy = scored(outcomes(make_case(cache, Refuses({7}), settings=asked))["accuracy"])

    assert (accuracy.value, accuracy.n, accuracy.details["unanswered"]) == (1.0, 20, 1)
    # All that were answered are yes; Wilson of 19 and of 20 in 20.
    assert (accuracy.low, accuracy.high) == (pytest.approx(0.7639, abs=1e-4), 1.0)


def test_a_judge_that_refuses_everything_gives_no_score(cache: Cache):
    client = ByImage(wrong(0))

    found = outcomes(make_case(cache, client, settings={"per_call": 20}))

    assert isinstance(found["detection"], Failure)
    assert found["detection"].kind == "refused"
    assert client.asked == 2 * 3  # each of two sheets and its halves, and no further


def test_controls_judge_the_same_images_under_explanations_that_should_lose(cache: Cache):
    def says(image: int, text: str) -> str:
        if text == "an image":
            return "yes"
        return truly(image) if text in ("a red circle", "a near one") else "no"

    others = Distractors(other="another one", neighbours=("a near one", "a far one"))
    client = ByText(says)
    said = explanation().model_copy(update={"text": "a red circle"})
    score = scored(outcomes(make_case(cache, client, said=said, distractors=others, controlled=True))["detection"])

    assert score.value == 1.0
    assert score.controls["constant"].value == pytest.approx(score.controls["always_yes"].value)
    assert score.controls["other"].value == 0.0
    assert score.controls["neighbour"].value == 1.0
    assert score.details["p_other"] == 1 / 201
    assert score.details["p_neighbour"] == 1.0
    # Framing that all features share, which this judge never sees.
    assert score.controls["close_up"].value == score.controls["middle"].value == 0.0
    assert client.asked == 6 * 5
    assert score.usage.calls == 6 * 5


def test_a_refusal_of_a_controls_text_does_not_make_the_control_lose(cache: Cache):
    class Picky(ByText):
        def said_of(self, image: int, text: str) -> str:
            if text == "another one" and image == 104:
                raise wrong(image)
            return truly(image)

    said = explanation().model_copy(update={"text": "a red circle"})
    others = Distractors(other="another one")
    case = make_case(cache, Picky(lambda image, text: "no"), said=said, distractors=others, controlled=True)

    score = scored(outcomes(case)["detection"])

    assert score.controls["other"].value == score.value == pytest.approx(1.0)
    assert score.details["p_other"] == 1.0


def test_after_a_screening_a_judge_that_tosses_coins_does_not_beat_its_controls(cache: Cache):
    chance = random.Random(4)
    tossed: dict[tuple[int, str, int], str] = {}

    class Coins(ByImage):
        def said_of(self, image: int, text: str) -> str:
            key = (image, text, len(self.requests[-1].pictures[0].tiles))
            return tossed.setdefault(key, "yes" if chance.random() < 0.2 else "no")

    own, others = [], []
    for i in range(36):
        said = explanation().model_copy(update={"text": f"thing {i}"})
        asked = {"n_screen": 400, "n_silent": 20, "seed": i}
        trial = {"about": large(), "n_images": 10_000, "settings": asked, "controlled": True}
        trial["distractors"] = Distractors(other=f"another {i}")
        score = scored(outcomes(make_case(cache, Coins(truly), said=said, **trial))["detection"])
        own.append(float(str(score.details["careful_f1"])))
        others.append(score.controls["other"].value)

    # The headline counts only what passed both looks; the control is held against the careful look alone.
    assert abs(sum(own) - sum(others)) / 36 < 0.03


def test_controls_by_framing_are_left_out_on_demand(cache: Cache):
    case = make_case(cache, ByImage(truly), controlled=True, settings={"framing": False})

    assert set(scored(outcomes(case)["detection"]).controls) == {"always_yes", "permuted", "constant"}
