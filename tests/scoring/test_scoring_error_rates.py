import pytest

from autointerp.schema import Usage
from autointerp.scoring.error_rates import (
    CheckedAnswer,
    Form,
    Origin,
    agreement,
    chi_square_tail,
    findings_of,
    kappa,
    position_effect,
    rates_of,
    share_of_yes,
)
from autointerp.statistics.rates import wilson

SHEET, SINGLE = Form("sheet", 4), Form("separate", 1)
TURNED = Form("sheet", 4, backwards=True)


def said(
    origin: Origin, *beliefs: float | None, form: Form = SHEET, first: int = 0, kinds: tuple[str, ...] = ("shape",)
) -> list[CheckedAnswer]:
    """One answer a belief, on images `first`, `first` + 1 …, in places 0 … 3 again and again."""
    images = range(first, first + len(beliefs))
    return [CheckedAnswer(0, kinds, i, origin, form, i % 4, b) for i, b in zip(images, beliefs, strict=True)]


def test_eight_of_ten_true_and_three_of_four_false_are_the_rates():
    judged = said("true", *[1.0] * 8, 0.0, 0.0) + said("near", 1.0, 0.0) + said("random", 0.0, 0.0)

    rates = rates_of(judged)

    assert rates is not None
    assert (rates.n_true, rates.sensitivity) == (10, 0.8)
    assert (rates.n_false, rates.specificity) == (4, 0.75)
    assert rates.sensitivity_low == wilson(8, 10).low
    assert rates.specificity_high == wilson(3, 4).high


def test_unsure_counts_half_and_no_answer_not_at_all():
    rates = rates_of(said("true", 1.0, 0.5, None) + said("near", 0.5, 0.0, None))

    assert rates is not None
    assert (rates.n_true, rates.sensitivity) == (2, 0.75)
    assert (rates.n_false, rates.specificity) == (2, 0.75)


def test_one_side_without_an_answer_has_no_rates():
    assert rates_of(said("true", 1.0) + said("near", None)) is None


def test_share_of_yes_of_nothing_is_none():
    assert share_of_yes(said("near", None)) is None


def test_kappa_is_what_is_equal_beyond_chance():
    pairs = [(1.0, 1.0)] * 4 + [(0.0, 0.0)] * 4 + [(1.0, 0.0), (0.0, 1.0)]

    # Equal: .8; by chance: .5·.5 + .5·.5 = .5; (.8 - .5) / (1 - .5).
    assert kappa(pairs) == pytest.approx(0.6)


def test_kappa_of_two_that_always_say_yes_is_not_known():
    assert kappa([(1.0, 1.0)] * 5) is None


def test_agreement_is_over_the_images_that_both_answered():
    judged = said("true", 1.0, 0.0, 1.0, None) + said("true", 1.0, 1.0, form=SINGLE)

    found = agreement(judged, SHEET, SINGLE)

    assert found is not None
    assert (found.first, found.second, found.n, found.equal) == ("sheet of 4", "single images", 2, 0.5)
    assert agreement(judged, SHEET, TURNED) is None


def test_a_judge_that_sees_only_the_first_place_is_noticed():
    judged = said("true", *[1.0, 0.0, 0.0, 0.0] * 5)

    found = position_effect(judged)

    assert found is not None
    assert (found.rates, found.place, found.deviation) == ((1.0, 0.0, 0.0, 0.0), 1, 0.75)
    # 5·(.75² + 3·.25²) / (.25·.75) = 20 with three degrees of freedom.
    assert found.chi_square == pytest.approx(20)
    assert found.p == pytest.approx(0.00017, abs=0.00001)


def test_the_same_answer_everywhere_shows_no_effect_of_the_place():
    found = position_effect(said("true", *[1.0] * 8))

    assert found is not None
    assert (found.deviation, found.chi_square, found.p) == (0.0, 0.0, 1.0)


def test_unsure_is_no_yes_at_its_place_and_no_answer_stands_nowhere():
    found = position_effect(said("true", 1.0, 0.5, None, 0.0))

    assert found is not None
    assert found.rates == (1.0, 0.0, 0.0)


def test_one_place_has_no_effect():
    assert position_effect(said("true", 1.0)) is None


@pytest.mark.parametrize(
    ("value", "df", "tail"), [(3.841, 1, 0.05), (5.991, 2, 0.05), (19.675, 11, 0.05), (21.026, 12, 0.05), (0.0, 5, 1.0)]
)
def test_the_tail_of_chi_square_is_that_of_the_tables(value: float, df: int, tail: float):
    assert chi_square_tail(value, df) == pytest.approx(tail, abs=2e-5)


def test_findings_put_all_together():
    judged = [
        *said("true", 1.0, 1.0, 0.0, 1.0),
        *said("near", 1.0, 0.0, None, first=4, kinds=("shape", "colour")),
        *said("random", 0.0, first=7),
        *said("true", 1.0, form=SINGLE),
        *said("random", 0.0, first=7, form=SINGLE),
        *said("true", 1.0, 0.0, 0.0, 1.0, form=TURNED),
    ]
    spent = {SINGLE: Usage(input_tokens=100, output_tokens=10, calls=2, dollars=0.004)}

    found = findings_of(judged, (SHEET, SINGLE, TURNED), spent)

    assert found is not None
    assert (found.sensitivity, found.specificity, found.unanswered) == (0.75, pytest.approx(2 / 3), 1)
    # Of the colour concept only false images were judged, which tell no sensitivity.
    assert [k.kind for k in found.kinds] == ["shape"]
    assert [(f.layout, f.per_call, f.calls) for f in found.formats] == [("sheet", 4, 0), ("separate", 1, 2)]
    assert found.formats[1].dollars_per_1000 == 2.0
    assert found.formats[0].dollars_per_1000 is None
    assert found.order is not None
    assert (found.order.second, found.order.n, found.order.equal) == ("sheet of 4 reversed", 4, 0.75)
    assert [(a.second, a.n) for a in found.agreements] == [("single images", 2)]
    assert found.near_yes is not None
    assert (found.near_yes.value, found.near_yes.n) == (0.5, 2)
    assert found.random_yes is not None
    assert (found.random_yes.value, found.random_yes.n) == (0.0, 1)


def test_no_answer_on_one_side_finds_nothing():
    assert findings_of(said("true", 1.0) + said("near", None), (SHEET,), {}) is None
