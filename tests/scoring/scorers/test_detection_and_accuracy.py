from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import exemplars, explanation, feature
from trial import SILENT, ByImage, make_case, scored, subject
from trial import outcomes as verdicts_of

from autointerp.lmm.cache import Cache
from autointerp.lmm.outcomes import CallError, Failure
from autointerp.schema import DomainFinding, Scored, Unscored
from autointerp.scoring.case import Outcome
from autointerp.scoring.scorer_list import SCORERS
from autointerp.scoring.scorers.detection import covered
from autointerp.statistics.rates import JudgeRates

NAMES = ("detection", "accuracy", "relevance")
WRONG = 104
"""A silent image that the draw of these tests judges."""


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    """Of one test."""
    with Cache(tmp_path / "answers") as cache:
        yield cache


def outcomes(cache: Cache, client: ByImage, *, layout: str = "sheet", **trial: object) -> dict[str, Outcome]:
    """What each scorer says of 10 active and 30 silent images, of 1000 in all, of which a tenth carry the attribute."""
    return verdicts_of(make_case(cache, client, settings={"layout": layout}, **trial))  # pyright: ignore[reportArgumentType]


def reason(outcome: Outcome) -> str:
    assert isinstance(outcome, Unscored), outcome
    return outcome.reason


def test_the_scorers_are_known_by_their_names():
    assert set(NAMES) <= set(SCORERS)


@pytest.mark.parametrize("layout", ["sheet", "separate"])
def test_every_verdict_is_of_the_image_it_was_said_of(cache: Cache, layout: str):
    client = ByImage(lambda image: ("yes", "unsure", "no")[image % 3])

    score = scored(outcomes(cache, client, layout=layout)["detection"])

    assert len(score.verdicts) == 40
    assert all(v.belief == (1.0, 0.5, 0.0)[v.image % 3] for v in score.verdicts)
    assert all(v.active == (v.image < 100) for v in score.verdicts)


def test_a_perfect_judge_scores_one(cache: Cache):
    found = outcomes(cache, ByImage(lambda image: "yes" if image < 100 else "no"))

    detection = scored(found["detection"])
    assert (detection.value, detection.high, detection.n) == (1.0, 1.0, 40)
    assert detection.low < 0.9  # none of 30 silent ones leaves room for 3, who stand for 90 of 1000 images
    assert detection.details["p_permuted"] == 1 / 201
    assert (detection.details["n_active"], detection.details["n_silent"]) == (10, 30)
    assert (detection.details["false_positives"], detection.details["false_negatives"]) == (0, 0)
    assert scored(found["accuracy"]).value == 1.0


def test_an_explanation_that_fits_all_is_found_out_by_detection_and_not_by_accuracy(cache: Cache):
    found = outcomes(cache, ByImage(lambda image: "yes"))

    detection, accuracy = scored(found["detection"]), scored(found["accuracy"])
    # Precision .1, recall 1.
    assert detection.value == pytest.approx(2 * 0.1 / 1.1)
    assert detection.controls["always_yes"].value == pytest.approx(2 * 0.1 / 1.1)
    assert detection.details["p_permuted"] == 1.0
    assert (detection.details["specificity"], detection.details["false_positives"]) == (0.0, 30)
    assert (accuracy.value, accuracy.details["band"]) == (1.0, "high")
    assert accuracy.controls["always_yes"].value == 1.0


def test_each_false_yes_counts_as_many_images_as_it_stands_for(cache: Cache):
    found = outcomes(cache, ByImage(lambda image: "yes" if image < 100 or image == WRONG else "no"))

    detection = scored(found["detection"])
    wrong = [v for v in detection.verdicts if not v.active and v.belief == 1]
    assert [v.weight for v in wrong] == pytest.approx([900 / 30] * len(wrong))
    assert detection.value == pytest.approx(200 / (200 + 30 * len(wrong)))
    assert len(wrong) == 1


def test_unsure_leaves_detection_open_and_is_no_yes_in_accuracy(cache: Cache):
    found = outcomes(cache, ByImage(lambda image: "unsure" if image < 100 else "no"))

    detection, accuracy = scored(found["detection"]), scored(found["accuracy"])
    # No active image is decided: at worst none fits, at best all do and nothing else.
    assert (detection.details["f1_worst"], detection.details["f1_best"]) == (0.0, 1.0)
    assert (detection.low, detection.high) == (0.0, 1.0)
    assert detection.undetermined
    assert detection.details["unsure"] == 10
    assert "unanswered" not in detection.details
    assert (accuracy.value, accuracy.details["band"], accuracy.details["unsure"]) == (0.0, "low", 10)


def test_one_unsure_silent_image_is_no_false_positive_but_a_doubt_that_is_named(cache: Cache):
    found = outcomes(cache, ByImage(lambda image: "yes" if image < 100 else "unsure" if image == WRONG else "no"))

    detection = scored(found["detection"])
    # It stands for 900 / 30 = 30 images; the others of its kind are all no. At worst 30 more fit than the 100 active.
    assert detection.value == 1.0
    assert detection.details["f1_best"] == 1.0
    assert detection.details["f1_worst"] == pytest.approx(200 / 230)
    assert detection.low < 200 / 230
    assert detection.details["unsure"] == 1
    assert detection.details["unsure_silent_weight"] == pytest.approx(30)
    assert detection.details["unsure_active_weight"] == 0
    assert detection.details["unsure_images"] == f"{WRONG} (×30)"
    assert detection.details["false_positives"] == 0


def test_the_judgements_are_asked_for_once_and_their_usage_is_carried_once(cache: Cache):
    client = ByImage(lambda image: "yes")

    found = outcomes(cache, client)

    assert client.asked == 5  # 40 images, 8 a call
    assert scored(found["detection"]).usage.input_tokens == 500
    assert scored(found["accuracy"]).usage.calls == 0
    assert (scored(found["detection"]).judge, scored(found["accuracy"]).judge) == ("judge-2026", "judge-2026")


def test_a_call_that_fails_is_a_failure_and_never_a_score(cache: Cache):
    found = outcomes(cache, ByImage(CallError("http_500", "no", again=False)))

    assert found["detection"] == found["accuracy"] == Failure("http_500", "no", 1)


def test_an_explainer_that_saw_nothing_in_common_is_not_scored_and_not_judged(cache: Cache):
    client = ByImage(lambda image: "yes")
    none = explanation().model_copy(update={"none": True, "text": ""})

    found = outcomes(cache, client, said=none)

    assert reason(found["detection"]) == reason(found["accuracy"]) == "the explainer found no common property"
    assert client.asked == 0


def test_too_few_held_out_images_leave_a_feature_unscored(cache: Cache):
    client = ByImage(lambda image: "yes")

    few_active = outcomes(cache, client, about=subject(n_top=4))
    few_silent = outcomes(cache, client, about=subject(n_silent=4))

    too_few = (
        "4 held-out active images, 5 are needed; show fewer (explain --no-refill with a lower --top) or harvest more"
    )
    assert too_few in reason(few_active["detection"])
    assert too_few in reason(few_active["accuracy"])
    assert "4 held-out silent images, 5 are needed; harvest some (harvest --silent)" in reason(few_silent["detection"])
    assert scored(few_silent["accuracy"]).n == 10


def test_accuracy_is_told_by_stratum(cache: Cache):
    rows = (*exemplars("top", range(10)), *exemplars("q1", range(10, 20)), *exemplars("silent", SILENT, activation=0))

    found = outcomes(cache, ByImage(lambda image: "yes" if image < 10 else "no"), about=feature(rows))

    details = scored(found["accuracy"]).details
    assert (details["top_yes"], details["top_n"], details["q1_yes"], details["q1_n"]) == (5, 5, 0, 5)
    assert (scored(found["accuracy"]).value, details["band"]) == (0.5, "middle")


def test_relevance_is_the_second_passs_word_where_there_is_one(cache: Cache):
    finding = DomainFinding(domain="d", found=True, text="six fingers", category="fingers-and-toes", images=(1,))
    said = explanation().model_copy(update={"domain": finding})

    found = scored(outcomes(cache, ByImage(lambda image: "no"), about=subject(carriers=96), said=said)["relevance"])

    assert (found.value, found.low, found.high) == (1.0, 0.0, 1.0)
    assert (found.details["form"], found.details["text"], found.details["label_share"]) == ("lmm", "six fingers", 0.96)
    assert found.details["label_relevant"] is True


def test_relevance_is_else_the_share_of_carriers_beside_the_base_rate(cache: Cache):
    found = scored(outcomes(cache, ByImage(lambda image: "no"), about=subject(carriers=90))["relevance"])

    assert (found.value, found.n, found.details["form"], found.details["label_relevant"]) == (0.9, 100, "label", False)
    assert found.controls["base_rate"].value == 0.1


def test_without_second_pass_and_attribute_there_is_no_relevance(cache: Cache):
    found = outcomes(cache, ByImage(lambda image: "no"))

    assert "no second pass" in reason(found["relevance"])


@pytest.mark.parametrize(("n_screen", "corrected"), [(0, True), (40, False)])
def test_the_errors_of_one_look_are_taken_out_of_one_look_alone(cache: Cache, n_screen: int, corrected: bool):
    rule = ByImage(lambda image: "yes" if image < 100 or image == WRONG else "no")
    case = make_case(cache, rule, settings={"n_screen": n_screen, "n_active": 20})
    case.judge_rates = JudgeRates(0.95, 200, 0.98, 200)

    found = scored(verdicts_of(case)["detection"])

    assert ("corrected" in found.details) == corrected


def test_the_top_alone_covers_a_tenth_of_two_hundred_active_images():
    top_alone = feature(exemplars("top", range(20)), n_active=200)
    with_band = feature((*exemplars("top", range(20)), *exemplars("q1", range(20, 29), probability=0.05)), n_active=200)

    assert covered(top_alone.active, 200) == 0.1
    assert covered(with_band.active, 200) == 1.0
    assert covered(top_alone.negatives, 0) == 1.0


@pytest.mark.parametrize("settings", [{}, {"layout": "separate"}, {"n_screen": 30, "n_silent": 10}])
def test_an_enlarged_place_beside_each_image_is_judged_together_with_it(cache: Cache, settings: dict[str, object]):
    def score(rendering: str) -> Scored:
        judge = ByImage(lambda image: "yes" if image % 3 else "no")
        asked = settings | {"rendering": rendering}
        return scored(verdicts_of(make_case(cache, judge, settings=asked, scorers=("detection",)))["detection"])

    whole, zoomed = score("full"), score("zoom")

    assert zoomed.verdicts == whole.verdicts
    assert zoomed.usage.calls == whole.usage.calls
