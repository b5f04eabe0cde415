"""Which crop is the odd one: hand-made judges on ten questions of five crops."""

from pathlib import Path

import pytest
from asking import ByRule, outcome_of, shown
from builders import exemplars, explanation, feature, image_rows
from trial import scored, subject

from autointerp.lmm.cache import Cache
from autointerp.lmm.outcomes import Failure
from autointerp.lmm.request import Request
from autointerp.prompts import load_prompt, shipped_folder
from autointerp.replies import number_reply, reply_schema
from autointerp.schema import Unscored
from autointerp.statistics.rates import wilson


def knows(request: Request) -> dict[str, object]:
    """Names the silent one: 100 and above."""
    return {"odd": next(i for i, image in enumerate(shown(request), 1) if image >= 100)}


@pytest.mark.parametrize("layout", ["sheet", "separate"])
def test_who_finds_all_ten_scores_one(cache: Cache, layout: str):
    client = ByRule(knows)

    found = scored(outcome_of("intruder", cache, client, settings={"layout": layout}))

    assert (found.value, found.high, found.n) == (1.0, 1.0, 10)
    assert found.low == wilson(10, 10).low
    assert found.details["p"] == pytest.approx(0.2**10)
    assert (found.details["top_found"], found.details["top_n"]) == (10, 10)
    assert found.controls["chance"].value == 0.2
    assert {len(shown(r)) for r in client.requests} == {5}
    assert {len(r.pictures) for r in client.requests} == {1 if layout == "sheet" else 5}


def test_who_always_says_the_third_scores_chance(cache: Cache):
    found = scored(outcome_of("intruder", cache, ByRule(lambda r: {"odd": 3})))

    assert found.value == 0.2
    # 1 - .8^10 - 10 * .2 * .8^9
    assert found.details["p"] == pytest.approx(1 - 0.8**10 - 10 * 0.2 * 0.8**9)


def test_the_active_crops_of_a_question_are_of_one_band_and_every_band_is_asked_about(cache: Cache):
    rows = (
        *exemplars("top", range(10)),
        *exemplars("q1", range(10, 20)),
        *exemplars("q2", range(20, 23)),  # too few for four crops
        *exemplars("silent", range(100, 120), activation=0),
    )
    client = ByRule(knows)

    found = scored(outcome_of("intruder", cache, client, about=feature(rows)))

    bands = [{image // 10 for image in shown(r) if image < 100} for r in client.requests]
    assert all(len(band) == 1 for band in bands)
    assert (found.details["top_n"], found.details["q1_n"]) == (5, 5)
    assert "q2_n" not in found.details


def test_no_silent_image_is_asked_about_twice_before_all_were(cache: Cache):
    client = ByRule(knows)

    outcome_of("intruder", cache, client, settings={"n_intruder": 40})

    odd = [image for r in client.requests for image in shown(r) if image >= 100]
    assert sorted(odd) == list(range(100, 140))


def test_uniform_silent_images_are_preferred_to_those_that_look_alike(cache: Cache):
    rows = (
        *exemplars("top", range(10)),
        *exemplars("silent", range(100, 106), activation=0),
        *exemplars("guided", range(200, 220), activation=0),
    )
    client = ByRule(knows)

    outcome_of("intruder", cache, client, about=feature(rows), settings={"n_intruder_hard": 0})

    assert {image for r in client.requests for image in shown(r) if image >= 100} == set(range(100, 106))


def test_look_alikes_have_questions_of_their_own_and_the_value_is_without_them(cache: Cache):
    rows = (
        *exemplars("top", range(10)),
        *exemplars("silent", range(100, 110), activation=0),
        *exemplars("guided", range(200, 220), activation=0, probability=0.5),
        *exemplars("guided", range(300, 304), activation=0, probability=0.9),
    )

    def finds_easy_ones(request: Request) -> dict[str, object]:
        images = shown(request)
        if odd := [i for i, image in enumerate(images, 1) if 100 <= image < 200]:
            return {"odd": odd[0], "sure": True}
        return {"odd": next(i for i, image in enumerate(images, 1) if image < 100), "sure": False}

    client = ByRule(finds_easy_ones)

    found = scored(outcome_of("intruder", cache, client, about=feature(rows), settings={"n_intruder_hard": 4}))

    # Ten questions with any silent image were all right, four with the likest look-alikes all wrong and guessed.
    assert (found.value, found.n, found.details["undecided"]) == (1.0, 10, 0)
    assert (found.details["hard"], found.details["hard_n"], found.details["hard_undecided"]) == (0.0, 4, 4)
    assert (found.details["hard_low"], found.details["hard_high"]) == (wilson(0, 4).low, wilson(0, 4).high)
    hard = {image for r in client.requests for image in shown(r) if image >= 200}
    assert hard == set(range(300, 304))


def test_a_guess_counts_in_the_value_and_is_told(cache: Cache):
    guesses = iter([True, False] * 5)

    found = scored(outcome_of("intruder", cache, ByRule(lambda r: knows(r) | {"sure": next(guesses)})))

    assert (found.value, found.details["undecided"]) == (1.0, 5)
    assert "hard" not in found.details


def test_near_duplicates_never_meet_in_a_question(cache: Cache):
    twins = {i: f"g{i // 2}" for i in range(20)} | {100 + i: f"g{i}" for i in range(10)}
    client = ByRule(knows)

    outcome_of(
        "intruder",
        cache,
        client,
        about=subject(n_silent=10),
        images=image_rows([*range(20), *range(100, 110)], groups=twins),
    )

    met = [[twins.get(image, str(image)) for image in shown(r)] for r in client.requests]
    assert all(len(set(groups)) == 5 for groups in met)


def test_questions_without_an_answer_count_a_fifth_and_widen_the_interval(cache: Cache):
    asked: list[str] = []

    def refuses_half(request: Request) -> dict[str, object] | None:
        asked.append(request.key)
        return knows(request) if len(asked) % 2 else None

    found = scored(outcome_of("intruder", cache, ByRule(refuses_half)))

    assert found.value == pytest.approx((5 + 5 / 5) / 10)
    assert (found.low, found.high) == (wilson(5, 10).low, wilson(10, 10).high)
    assert (found.details["unanswered"], found.n) == (5, 10)


def test_a_judge_that_never_answers_gives_a_failure(cache: Cache):
    assert outcome_of("intruder", cache, ByRule(lambda r: None)) == Failure("http_400", "no", 1)


def test_a_feature_without_an_explanation_is_asked_about_all_the_same(cache: Cache):
    none = explanation().model_copy(update={"none": True, "text": ""})
    client = ByRule(knows)

    assert scored(outcome_of("intruder", cache, client, said=none)).value == 1.0
    assert {r.subject for r in client.requests} == {""}


def test_features_with_too_few_images_are_unscored(cache: Cache):
    client = ByRule(knows)
    thin = (
        *exemplars("top", range(3)),
        *exemplars("q1", range(3, 6)),
        *exemplars("silent", range(100, 110), activation=0),
    )

    outcomes = [
        outcome_of("intruder", cache, client, about=about)
        for about in (subject(n_top=4), subject(n_silent=4), feature(thin))
    ]

    reasons = [o.reason for o in outcomes if isinstance(o, Unscored)]
    assert "4 held-out active images" in reasons[0]
    assert "4 held-out silent images" in reasons[1]
    assert "no activation band has 4 held-out images that differ; show fewer (explain --no-refill" in reasons[2]
    assert client.asked == 0


def test_a_template_that_does_not_ask_for_certainty_gets_the_schema_that_it_had(cache: Cache, tmp_path: Path):
    shipped = (shipped_folder() / "intruder.jinja").read_text()
    (tmp_path / "intruder.jinja").write_text(shipped.replace(', "sure": true or false', ""))
    own = load_prompt("intruder", tmp_path)

    assert (own.asks_for("sure"), load_prompt("intruder", None).asks_for("sure")) == (False, True)
    assert "sure" not in reply_schema(number_reply("odd", 5, sure=own.asks_for("sure")))
    client = ByRule(knows)
    outcome_of("intruder", cache, client)
    assert all('"sure"' in r.reply_schema for r in client.requests)
