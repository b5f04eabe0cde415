import pytest
from report_world import World, explained, scored, separation

from autointerp.reports.aggregates import aggregate
from autointerp.reports.figures import Figure, figures_of
from autointerp.reports.summary import scorer_plan, states_of
from autointerp.schema import Control, DomainFinding


def figures(world: World) -> dict[str, Figure]:
    counted = aggregate(world.data())
    return {f.title: f for f in figures_of(counted, scorer_plan(counted), world.attribute)}


def label(feature: int, p: float, *, exact: bool = True) -> dict:
    details = {"form": "label", "label_share": 0.3, "p_fisher": p, "label_base_rate": 0.06, "base_rate_exact": exact}
    return {"feature": feature, "value": 0.3, "scorer": "relevance", "details": details, "controls": {}}


def finding(*, found: bool) -> DomainFinding:
    return DomainFinding(domain="physics", found=found, text="it floats" * found, category="gravity", images=())


def test_two_of_four_features_stand_at_a_false_discovery_rate_of_5_percent(world: World):
    # q of .001 is .004, of .02 is .04, of .04 is .053, of .9 is .9; at p < .05 alone it would be three.
    world.attribute = "a physical error"
    world.scores = [scored(**label(i, p)) for i, p in enumerate((0.04, 0.001, 0.9, 0.02))]

    figure = figures(world)["Features associated with the attribute"]

    assert (figure.estimate, figure.instead) == (None, "2 of 4")
    assert figure.meaning.startswith(
        "2 of 4 features are associated with a physical error at a false discovery rate of 5 %: the images that fire"
        " them carry it more often than its share in all images, 6.0 %, explains."
    )


def test_an_estimated_base_rate_is_called_an_estimate(world: World):
    world.scores = [scored(**label(1, 0.001, exact=False))]

    assert "6.0 % by estimate from the images drawn" in figures(world)["Features associated with the attribute"].meaning


def test_features_that_cannot_be_explained_have_a_state_of_their_own_and_no_other(world: World):
    world.explanations = [explained(i) for i in range(4)]
    world.unexplainable = {5: "never fired", 6: "never fired", 7: "no images in the dump"}
    data = world.data()
    found = states_of(aggregate(data), data.n_features, 3)

    # Of the dump's ten features four are explained.
    assert (found["never"], found["pending"]) == (3, 3)


def test_without_a_base_rate_nothing_is_tested(world: World):
    world.scores = [scored(1, 0.3, "relevance", details={"form": "label"}, controls={})]

    assert "Features associated with the attribute" not in figures(world)


def test_the_models_word_stands_beside_its_word_on_shuffled_sets(world: World):
    # Found on 3 of 4 features and 1 of 2 shuffled sets; of the 15 ways to deal four yes to six, 9 give the features
    # three or more.
    world.explanations = [explained(i, domain=finding(found=i > 0)) for i in range(4)]
    shuffled = [{"shuffled": Control(value=1.0)}, {"shuffled": Control(value=0.0)}, {}, {}]
    world.scores = [
        scored(i, float(i > 0), "relevance", details={"form": "lmm"}, controls=shuffled[i]) for i in range(4)
    ]

    figure = figures(world)["Relevant features, as the model names them"]

    (control,) = figure.controls
    assert figure.estimate is not None
    assert (figure.estimate.value, figure.basis) == (0.75, "3 of 4 features")
    assert (control.title, control.value) == ("shuffled image sets, 1 of 2:", 0.5)
    assert (control.low, control.high) == (pytest.approx(0.095, abs=1e-3), pytest.approx(0.905, abs=1e-3))
    assert control.p == pytest.approx(9 / 15)


def test_without_shuffled_sets_the_models_word_is_said_to_have_no_control(world: World):
    world.explanations = [explained(1, domain=finding(found=True))]
    world.scores = [scored(1, 1.0, "relevance", details={"form": "lmm"}, controls={})]

    figure = figures(world)["Relevant features, as the model names them"]

    assert figure.controls == ()
    assert "has no control" in figure.meaning


def test_the_share_of_the_attribute_has_the_base_rate_beside_it_and_not_the_shuffled_sets(world: World):
    details = {"form": "lmm", "label_share": 0.3, "label_base_rate": 0.06}
    world.scores = [scored(1, 1.0, "relevance", details=details, controls={"shuffled": Control(value=1.0)})]

    (control,) = figures(world)["Attribute among active images"].controls

    assert (control.title, control.value) == ("base rate", 0.06)


def test_guessing_is_the_mean_of_what_it_scores_on_each_feature(world: World):
    world.scores = [scored(i, 0.8, "naming", controls={"chance": Control(value=c)}) for i, c in enumerate((0.2, 0.3))]

    figure = figures(world)["Name that feature"]

    assert figure.axis.chance == pytest.approx(0.25)
    assert [c.line for c in figure.controls] == [True]


def test_a_control_in_the_table_is_not_drawn_again_over_other_features(world: World):
    world.separations = (separation("constant"),)
    world.scores = [scored(1, 0.6, controls={"constant": Control(value=0.1), "always_yes": Control(value=0.05)})]

    figure = figures(world)["Detection, weighted F1"]

    assert [c.title for c in figure.controls] == ["always yes"]
    assert [s.control for s in figure.separations] == ["constant"]


def test_unanswered_judgements_are_counted_beside_the_mean(world: World):
    world.scores = [scored(1, 0.5, details={"unanswered": 2}), scored(2, 0.5, details={"unanswered": 1})]

    assert "3 judgements without a usable answer" in figures(world)["Detection, weighted F1"].basis


def test_a_cosine_below_nothing_is_on_the_axis(world: World):
    world.scores = [scored(1, -0.5, "embedding", low=-0.6, high=-0.4, controls={})]

    figure = figures(world)["Embedding, monosemanticity"]

    assert figure.estimate is not None
    assert (figure.axis.place(figure.estimate.value), figure.axis.low, figure.axis.high) == (25.0, -1.0, 1.0)
