"""One sentence for what detection and generation come to together."""

import pytest

from autointerp.reports.two_sides import BROAD, HOLDS, LACKS, LOOSE, NARROW, OPEN, WRONG, both_sides, stronger
from autointerp.schema import Scored, Unscored


def score(scorer: str, value: float, width: float = 0.2, **details: float | str) -> Scored:
    return Scored(
        feature=1,
        scorer=scorer,
        value=value,
        low=value - width / 2,
        high=value + width / 2,
        n=8,
        details=dict(details),
        controls={},
        judge="",
        prompt="",
        created="",
    )


@pytest.mark.parametrize(
    ("f1", "recall", "precision", "auroc", "said"),
    [
        (0.8, 0.8, 0.8, 0.95, HOLDS),
        (0.8, 0.8, 0.8, 0.6, LACKS),
        (0.3, 0.2, 0.9, 0.95, NARROW),
        (0.3, 0.9, 0.2, 0.95, LOOSE),
        (0.3, 0.9, 0.2, 0.6, BROAD),
        # It holds of a third of the images, and pictures of it fire the feature: an F1 above .5 does not change that.
        (0.51, 0.35, 0.95, 0.95, NARROW),
        (0.6, 0.95, 0.45, 0.95, HOLDS),
        # Its images match, and so do as many others.
        (0.66, 0.98, 0.5, 0.6, BROAD),
        (0.8, 0.9, 0.74, 0.6, BROAD),
        (0.85, 0.95, 0.76, 0.6, LACKS),
        (0.6, 0.5, 0.74, 0.6, LACKS),
        (0.1, 0.1, 0.1, 0.5, WRONG),
    ],
)
def test_each_side_sees_what_the_other_cannot(f1: float, recall: float, precision: float, auroc: float, said: str):
    judged = score("detection", f1, recall=recall, precision=precision)

    assert both_sides({"detection": judged, "generation": score("generation", auroc)}) == said


def test_pictures_that_fire_no_more_than_those_of_other_texts_do_not_count_as_firing():
    judged = score("detection", 0.8, recall=0.8, precision=0.8)

    assert both_sides({"detection": judged, "generation": score("generation", 0.9, selectivity_other=0.5)}) == LACKS
    assert both_sides({"detection": judged, "generation": score("generation", 0.9, selectivity_other=0.9)}) == HOLDS


def test_nothing_is_said_of_one_side_alone_and_a_wide_interval_leaves_it_open():
    judged, made = score("detection", 0.8), score("generation", 0.9)
    none = Unscored(feature=1, scorer="generation", reason="refused", judge="", created="")

    assert both_sides({"detection": judged}) is None
    assert both_sides({"detection": judged, "generation": none}) is None
    assert both_sides({"detection": score("detection", 0.5, 0.7), "generation": made}) == OPEN


def test_other_latents_that_fire_more_strongly_are_read_from_the_score():
    named = {"generation": score("generation", 0.9, stronger="17, 5")}

    assert stronger(named, lambda other: "#f5" if other == 5 else None) == ((17, None), (5, "#f5"))
    assert stronger({"generation": score("generation", 0.9)}, str) == ()
    assert stronger({}, str) == ()
