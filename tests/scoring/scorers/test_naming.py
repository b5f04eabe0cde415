"""Which explanation is the feature's own: hand-made judges on questions with five options."""

import pytest
from asking import ByRule, outcome_of, shown
from builders import explanation, image_rows
from trial import scored

from autointerp.lmm.cache import Cache
from autointerp.lmm.request import ImagePart, Request
from autointerp.schema import Unscored
from autointerp.scoring.distractors import Distractors
from autointerp.scoring.scorers.naming import options
from autointerp.statistics.rates import wilson

OWN = "a red square"
OTHERS = ("a red circle", "a blue square", "a green triangle", "a dog")


def takes(text: str):
    """A judge that takes this text wherever it stands."""
    return ByRule(lambda r: {"description": r.subject.split("\n").index(text) + 1})


def test_who_knows_the_feature_scores_one(cache: Cache):
    client = takes(OWN)

    found = scored(outcome_of("naming", cache, client, neighbours=OTHERS))

    assert (found.value, found.high, found.n) == (1.0, 1.0, 4)
    assert found.low == wilson(4, 4).low
    assert found.details["p"] == pytest.approx(0.2**4)
    assert (found.details["options"], found.details["same_text"]) == (5, 0)
    assert found.controls["chance"].value == 0.2
    assert all(sorted(r.subject.split("\n")) == sorted((OWN, *OTHERS)) for r in client.requests)
    assert {part.role for r in client.requests for part in r.messages[1].parts if isinstance(part, ImagePart)} == {
        "active"
    }
    # Sixteen crops, none of them twice.
    assert len({image for r in client.requests for image in shown(r)}) == 16


def test_who_always_says_the_first_scores_chance(cache: Cache):
    rule = ByRule(lambda r: {"description": 1})

    found = scored(outcome_of("naming", cache, rule, neighbours=OTHERS, settings={"n_naming": 5}))

    assert found.value == pytest.approx(0.2)
    assert found.details["p"] == pytest.approx(1 - 0.8**5)


def test_a_label_that_all_share_earns_chance_whatever_is_answered(cache: Cache):
    same = ("an object", "An object.", "an  object", "AN OBJECT", "an object!")
    rule = ByRule(lambda r: {"description": 2})

    found = scored(outcome_of("naming", cache, rule, said=explanation(text="an object"), neighbours=same))

    assert (found.value, found.low, found.high) == (pytest.approx(0.2), pytest.approx(wilson(4, 4).low / 5), 0.2)
    assert (found.details["same_text"], found.details["p"]) == (4, 1.0)


def test_a_label_shared_with_two_of_four_earns_a_third(cache: Cache):
    found = scored(outcome_of("naming", cache, takes(OWN), neighbours=("a dog", "a cat", OWN, OWN)))

    assert found.value == pytest.approx(1 / 3)
    assert found.details["same_text"] == 2
    assert found.details["p"] == pytest.approx((3 / 5) ** 4)


def test_the_text_it_is_mistaken_for_is_told(cache: Cache):
    found = scored(outcome_of("naming", cache, takes("a blue square"), neighbours=OTHERS))

    assert (found.value, found.details["mistaken_for"], found.details["mistaken"]) == (0.0, "a blue square", 4)


def test_questions_without_an_answer_count_chance_and_widen_the_interval(cache: Cache):
    asked: list[str] = []

    def refuses_half(request: Request) -> dict[str, object] | None:
        asked.append(request.key)
        return {"description": request.subject.split("\n").index(OWN) + 1} if len(asked) % 2 else None

    found = scored(outcome_of("naming", cache, ByRule(refuses_half), neighbours=OTHERS))

    assert found.value == pytest.approx((2 + 2 / 5) / 4)
    assert (found.low, found.high) == (wilson(2, 4).low, wilson(4, 4).high)
    assert found.details["unanswered"] == 2


def test_few_neighbours_are_filled_up_with_another_features_text(cache: Cache):
    client = takes(OWN)

    found = scored(outcome_of("naming", cache, client, neighbours=("a dog",), other="a cat"))

    assert found.details["options"] == 3
    assert set(client.requests[0].subject.split("\n")) == {OWN, "a dog", "a cat"}


def test_without_other_explanations_there_is_nothing_to_choose_from(cache: Cache):
    outcome = outcome_of("naming", cache, takes(OWN))

    assert isinstance(outcome, Unscored)
    assert "no other explanation to choose from; explain more features (explain --features)" in outcome.reason


def test_crops_of_a_question_are_no_near_duplicates(cache: Cache):
    twins = {i: f"g{i // 4}" for i in range(20)}
    client = takes(OWN)

    outcome_of(
        "naming", cache, client, neighbours=OTHERS, images=image_rows([*range(20), *range(100, 140)], groups=twins)
    )

    assert all(len({twins[image] for image in shown(r)}) == len(shown(r)) for r in client.requests)


@pytest.mark.parametrize(
    ("n_twins", "expected"),
    [(0, 0), (1, 1), (2, 1), (5, 2), (6, 3), (10, 4)],  # 4 * n / 11, rounded up
)
def test_texts_of_the_same_words_have_the_share_that_they_have_among_the_neighbours(n_twins: int, expected: int):
    different = tuple(f"thing {i}" for i in range(11 - n_twins))

    chosen = options("a dog", Distractors("other", (*different, *("A dog",) * n_twins)), 4)

    assert len(chosen) == 4
    assert chosen.count("A dog") == expected
    assert chosen[: 4 - expected] == different[: 4 - expected]
