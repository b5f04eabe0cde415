import pytest

from autointerp.reports.labels import (
    SCORERS,
    dollars,
    headline_of,
    interval,
    number,
    p_text,
    plural,
    scorer_labels,
    scorer_order,
    share,
    usage_text,
)
from autointerp.schema import Usage
from autointerp.scoring import scorer_list


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (0.123, "0.12"), (-0.5, "−0.50"), (99.994, "99.99"), (1234.5, "1.23e+03"), (0.00312, "0.00312")],
)
def test_numbers_have_two_decimals_where_that_tells_something(value: float, text: str):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 %"), (0.333, "33.3 %"), (0.005, "0.50 %"), (0.00001, "0.001 %"), (1.0, "100.0 %")]
)
def test_small_shares_keep_their_digits(value: float, text: str):
    assert share(value) == text


def test_words_say_what_the_published_accuracy_is_and_what_an_image_scores():
    meaning = scorer_labels("accuracy").meaning

    assert "recall" in meaning
    assert "“an image” scores 1.0" in meaning


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0004, "p < .001"),
        (0.001, "p = .001"),
        (0.0031, "p = .003"),
        (0.0994, "p = .099"),
        (0.0996, "p = .10"),
        (0.5, "p = .50"),
        (1.0, "p > .99"),
    ],
)
def test_p_values_have_three_decimals_where_they_decide_something(p: float, text: str):
    assert p_text(p) == text


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        ((0.1, 0.625), "0.10 to 0.62"),
        ((-0.3, 0.004), "−0.30 to 0.00"),
        ((0.002, 0.004), "0.002 to 0.004"),
        ((0.5, 0.5), "0.50 to 0.50"),
    ],
)
def test_bounds_have_two_decimals_unless_that_makes_them_one(bounds: tuple[float, float], text: str):
    assert interval(*bounds) == text


def test_there_are_words_for_every_scorer_and_for_no_other():
    assert set(SCORERS) == set(scorer_list.SCORERS)


def test_each_known_scorer_has_a_sentence_and_a_range():
    for scorer, words in SCORERS.items():
        assert words.meaning.endswith("."), scorer
        assert words.bounds[0] < words.bounds[1]


def test_an_unknown_scorer_goes_by_its_name():
    assert scorer_labels("my_scorer").title == "My scorer"
    assert "my_scorer" in scorer_labels("my_scorer").meaning


def test_known_scorers_come_first_and_detection_is_the_headline():
    order = scorer_order({"zeta", "accuracy", "alpha", "detection"})

    assert order == ["detection", "accuracy", "alpha", "zeta"]
    assert headline_of(order) == "detection"
    assert headline_of(["accuracy", "naming", "choice"]) == "choice"
    assert headline_of(["alpha"]) == "alpha"
    assert headline_of([]) is None


def test_usage_in_words_says_that_a_price_is_not_known():
    assert usage_text(Usage(input_tokens=1200, output_tokens=3, calls=1)) == (
        "1 call, 1,200 tokens in, 3 out, price not known"
    )
    assert usage_text(Usage()) == "nothing was asked"


def test_dollars_show_what_little_one_feature_costs():
    assert (dollars(0.00412), dollars(12.3456), dollars(0)) == ("$0.0041", "$12.35", "$0.00")


def test_one_is_singular():
    assert (plural(1, "feature"), plural(2000, "feature")) == ("1 feature", "2,000 features")
