import pytest
from standin.relevance import discoveries

from autointerp.schema import Control, Score, Scored
from autointerp.scoring.control_tests import CONTROLS, headline, separations


def run_of(own: float, n: int, **controls: float) -> list[Score]:
    """`n` features whose own explanation scores `own`, a hundredth more each, beside these controls."""
    return [detection(i, own + i / 100, **controls) for i in range(n)]


def detection(feature: int, value: float, **controls: float) -> Scored:
    told = {name: Control(value=v, n=60) for name, v in controls.items()}
    return Scored(
        feature=feature,
        scorer="detection",
        value=value,
        low=0.0,
        high=1.0,
        n=60,
        details={},
        controls=told,
        judge="judge",
        prompt="",
        created="",
    )


def test_scores_above_every_control_separate():
    found = separations(run_of(0.8, 10, constant=0.1, other=0.05, permuted=0.1))

    assert [(s.control, s.n, s.verdict) for s in found] == [
        ("constant", 10, "separates"),
        ("other", 10, "separates"),
        ("permuted", 10, "separates"),
    ]
    # All ten differences are positive: of 2^10 signs only two are as far from 0.
    assert {s.p for s in found} == {2 / 1024}
    assert found[0].difference == pytest.approx(0.745)
    said = headline(found)
    assert said is not None
    assert said.startswith(
        "controls separate: own explanations 0.84, “an image” 0.10, another feature's explanation 0.05"
    )


def test_a_run_whose_controls_do_as_well_says_so_first():
    scores = [detection(i, 0.5 + i / 100, constant=0.1, other=0.5 + (9 - i) / 100) for i in range(10)]

    found = separations(scores)

    said = headline(found)
    assert said is not None
    assert said.startswith("CONTROLS DO NOT SEPARATE: another feature's explanation scores 0.54, own 0.54 (p = 1)")


def test_a_control_that_does_better_does_not_separate_however_small_its_p():
    found = separations(run_of(0.2, 12, other=0.9))

    assert found[0].p < 0.01
    assert found[0].verdict == "does not separate"


@pytest.mark.parametrize("framing", ["close_up", "middle"])
def test_explanations_that_say_no_more_than_a_text_about_framing_do_not_separate(framing: str):
    found = separations(run_of(0.5, 10, constant=0.1))
    alike = separations([detection(i, 0.5, constant=0.1, **{framing: 0.5}) for i in range(10)])

    assert (headline(found) or "").startswith("controls separate")
    said = headline(alike) or ""
    assert said.startswith(f"CONTROLS DO NOT SEPARATE: {CONTROLS[framing]} scores 0.50, own 0.50 (p = 1)")


def test_a_neighbours_explanation_may_do_as_well():
    found = separations(run_of(0.8, 10, constant=0.1, neighbour=0.84))

    assert [s.verdict for s in found] == ["separates", "does not separate"]
    assert (headline(found) or "").startswith("controls separate")


def test_five_features_are_too_few_to_tell():
    found = separations(run_of(0.8, 5, constant=0.1))

    assert found[0].verdict == "too few"
    assert headline(found) == "controls: 5 features carry them, too few to tell (at least 8 are needed)"


def test_beating_chance_alone_is_not_called_separation():
    scores = [detection(i, 0.55 + i / 1000, permuted=0.1) for i in range(50)]
    scores[:7] = [detection(i, 0.55, constant=0.9, other=0.95, permuted=0.1) for i in range(7)]

    said = headline(separations(scores))

    assert said is not None
    assert said.startswith(
        "answers beat chance (own 0.57, dealt at random 0.10); too few features carry other explanations"
    )
    assert "(7, at least 8 are needed)" in said


def test_random_weights_are_compared_over_other_features():
    found = separations(run_of(0.5, 10), run_of(0.45, 10))

    assert [(s.control, s.n) for s in found] == [("random", 10)]
    # .45 to .54 against .50 to .59: half of each overlaps.
    assert found[0].verdict == "separates"
    assert separations(run_of(0.5, 10), run_of(0.49, 10))[0].verdict == "does not separate"


def test_a_run_without_controls_has_no_headline():
    assert headline(separations(run_of(0.8, 10))) is None
    assert headline(separations([])) is None


def test_a_detail_that_is_no_number_counts_as_missing():
    odd = [
        s.model_copy(update={"details": {"careful_f1": "abc", "p_fisher": "x"}}) for s in run_of(0.8, 10, constant=0.1)
    ]

    assert odd[0].number("careful_f1") is None
    assert separations(odd) == separations(run_of(0.8, 10, constant=0.1))
    assert discoveries(odd).n_tested == 0
