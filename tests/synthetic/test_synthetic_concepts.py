import numpy as np
import pytest

from autointerp.synthetic.concepts import (
    CONCEPTS,
    KINDS,
    Both,
    Concept,
    Counts,
    Either,
    Expression,
    Has,
    holds_all,
    in_covering_order,
    likeness,
    meant,
)
from autointerp.synthetic.scenes import GROUNDS, VALUES, Scene, Scenes, Thing, draw_scenes

RED_CIRCLE = Thing("circle", "red", "small", "left", "top", "plain", "resting")
PINK_RING = Thing("ring", "pink", "large", "right", "bottom", "striped", "floating")
TWO = Scene((RED_CIRCLE, PINK_RING), "grey", 0)

RED = Has((("colour", "red"),))
A_RED_CIRCLE = Has((("colour", "red"), ("shape", "circle")))
A_RED_RING = Has((("colour", "red"), ("shape", "ring")))
A_BLUE_STAR = Has((("colour", "blue"), ("shape", "star")))


def columns(*scenes: Scene) -> Scenes:
    """The same scenes as columns."""
    codes = {name: np.full((len(scenes), 4), -1, np.int8) for name in VALUES}
    for i, scene in enumerate(scenes):
        for j, thing in enumerate(scene.things):
            for name in VALUES:
                codes[name][i, j] = VALUES[name].index(getattr(thing, name))
    return Scenes(
        codes,
        np.array([len(s.things) for s in scenes], np.int8),
        np.array([GROUNDS.index(s.ground) for s in scenes], np.int8),
        np.array([s.nuisance for s in scenes], np.int64),
    )


TRUTHS = [
    (RED, True),
    (A_RED_CIRCLE, True),
    (A_RED_RING, False),  # red and a ring, but not one object
    (Counts(2), True),
    (Counts(1), False),
    (Both(A_RED_CIRCLE, Counts(2)), True),
    (Both(A_RED_CIRCLE, Counts(3)), False),
    (Either(A_BLUE_STAR, Counts(2)), True),
    (Either(A_BLUE_STAR, A_RED_RING), False),
]


@pytest.mark.parametrize(("truth", "expected"), TRUTHS)
def test_a_concept_holds_by_the_objects_of_the_scene(truth: Expression, expected: bool):
    concept = Concept("x", truth)

    assert bool(meant(concept, TWO)) is expected
    assert holds_all(concept, columns(TWO)).tolist() == [expected]


@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda c: c.text)
def test_the_columns_say_the_same_as_one_scene_after_another(concept: Concept):
    scenes = draw_scenes(300, 7)

    slow = [bool(meant(concept, scene)) for scene in scenes]

    assert holds_all(concept, scenes).tolist() == slow
    assert (likeness(concept, scenes) == 1).tolist() == slow


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        (A_RED_CIRCLE, 1.0),
        (A_RED_RING, 0.75),  # the red circle: its colour is right, and a circle is half a ring
        (A_BLUE_STAR, 0.0),  # pink and purple are alike, as are purple and blue, but not pink and blue
        (Counts(2), 1.0),
        (Counts(3), 0.5),
        (Counts(4), 0.0),
        (Both(A_RED_CIRCLE, Counts(3)), 0.75),
        (Either(A_BLUE_STAR, Counts(3)), 0.5),
    ],
)
def test_likeness_is_the_share_of_what_is_required(truth: Expression, expected: float):
    assert likeness(Concept("x", truth), columns(TWO)).tolist() == [expected]


def test_kinds_are_what_the_concept_touches():
    left = Has((("row", "top"), ("column", "left")))

    assert Concept("in the top left", left).kinds == ("position",)
    assert Concept("a red circle", A_RED_CIRCLE).kinds == ("shape", "colour", "conjunction")
    assert Concept("red, or two", Either(RED, Counts(2))).kinds == ("colour", "count", "disjunction")


def test_what_makes_it_true_is_the_fitting_object_or_all_that_are_counted():
    assert meant(Concept("a red circle", A_RED_CIRCLE), TWO) == (0,)
    assert meant(Concept("exactly two", Counts(2)), TWO) == (0, 1)
    assert meant(Concept("a star", Either(A_BLUE_STAR, A_RED_CIRCLE)), TWO) == (0,)
    assert meant(Concept("a blue star", A_BLUE_STAR), TWO) == ()


def test_the_planted_concepts_fire_on_ten_percent_to_a_thousandth():
    scenes = draw_scenes(100_000, 0)

    rates = [float(np.mean(holds_all(concept, scenes))) for concept in CONCEPTS]

    assert 0.0008 < min(rates) < 0.0015
    assert 0.08 < max(rates) < 0.12
    assert len(CONCEPTS) == len({c.text for c in CONCEPTS}) == 36


def test_every_kind_is_touched_by_four_concepts_or_more():
    touched = {kind: sum(kind in c.kinds for c in CONCEPTS) for kind in KINDS}

    assert min(touched.values()) >= 4, touched


@pytest.mark.parametrize("seed", range(5))
def test_the_first_eight_concepts_already_touch_every_kind(seed: int):
    order = in_covering_order(CONCEPTS, seed)

    assert set(KINDS) == {kind for concept in order[:8] for kind in concept.kinds}
    assert sorted(c.text for c in order) == sorted(c.text for c in CONCEPTS)
