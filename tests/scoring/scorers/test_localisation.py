"""Pointing at what is described: hand-made judges on images whose left or right half fired."""

from dataclasses import replace

import numpy as np
import pytest
from asking import ByRule, outcome_of, shown
from builders import exemplars, feature
from pydantic import ValidationError
from trial import scored

from autointerp.lmm.cache import Cache
from autointerp.lmm.request import Request
from autointerp.schema import Box, Feature, ImageRow, Unscored
from autointerp.scoring.scorers.localisation import PointReply, overlaps

LEFT, RIGHT = Box(0, 0, 100, 100), Box(100, 0, 200, 100)
WIDE = {i: ImageRow(i, 200, 100, f"{i:064x}", None, None, None) for i in range(200)}


def halves(n: int = 12, *, whole: int = 0) -> Feature:
    """Fires on the left half of even images and the right half of odd ones; on all of `whole` further ones."""
    rows = [replace(e, box=RIGHT if e.image % 2 else LEFT) for e in exemplars("top", range(n))]
    return feature((*rows, *exemplars("top", range(n, n + whole)), *exemplars("silent", range(100, 110), activation=0)))


def box(x0: int, y0: int, x1: int, y1: int) -> dict[str, object]:
    return {"found": True, "x0": x0, "y0": y0, "x1": x1, "y1": y1}


NOT_FOUND = {"found": False, "x0": 0, "y0": 0, "x1": 0, "y1": 0}


def knows(request: Request) -> dict[str, object]:
    return box(500, 0, 1000, 1000) if shown(request)[0] % 2 else box(0, 0, 500, 1000)


def test_who_points_at_the_very_region_scores_one(cache: Cache):
    client = ByRule(knows)

    found = scored(outcome_of("localisation", cache, client, about=halves(), images=WIDE))

    assert (found.value, found.high, found.n) == (1.0, 1.0, 12)
    assert (found.details["pointing"], found.details["not_found"]) == (1.0, 0)
    # Of the eleven other images five are of the same half.
    assert found.controls["moved"].value == pytest.approx(5 / 11)
    assert isinstance(p := found.details["p_moved"], float)
    assert p < 0.02
    tiles = [t for r in client.requests for picture in r.pictures for t in picture.tiles]
    assert {(t.rendering, t.box) for t in tiles} == {("full", None)}
    assert {p.side for r in client.requests for p in r.pictures} == {448}


def test_who_always_points_left_does_no_better_than_on_other_images(cache: Cache):
    rule = ByRule(lambda r: box(0, 0, 500, 1000))

    found = scored(outcome_of("localisation", cache, rule, about=halves(), images=WIDE))

    assert (found.value, found.details["pointing"]) == (0.5, 0.5)
    assert found.controls["moved"].value == pytest.approx(0.5)
    assert found.details["p_moved"] == 1.0


def test_half_of_the_region_is_an_iou_of_one_half_and_still_a_hit(cache: Cache):
    def half(request: Request) -> dict[str, object]:
        return box(750, 0, 1000, 1000) if shown(request)[0] % 2 else box(0, 0, 500, 500)

    found = scored(outcome_of("localisation", cache, ByRule(half), about=halves(), images=WIDE))

    assert (found.value, found.details["pointing"]) == (0.5, 1.0)


def test_what_is_not_found_scores_nothing(cache: Cache):
    rule = ByRule(lambda r: NOT_FOUND)

    found = scored(outcome_of("localisation", cache, rule, about=halves(), images=WIDE))

    assert (found.value, found.low, found.details["not_found"], found.details["pointing"]) == (0.0, 0.0, 12, 0.0)
    assert found.details["p_moved"] == 1.0


def test_images_without_an_answer_count_what_moved_regions_earn_and_widen_the_interval(cache: Cache):
    def some(request: Request) -> dict[str, object] | None:
        return knows(request) if shown(request)[0] < 6 else None

    found = scored(outcome_of("localisation", cache, ByRule(some), about=halves(), images=WIDE))
    whole = scored(outcome_of("localisation", cache, ByRule(knows), about=halves(), images=WIDE))

    # Of six answered ones two in five others are of the same half.
    assert found.controls["moved"].value == pytest.approx(2 / 5)
    assert found.value == pytest.approx((6 * 1 + 6 * 2 / 5) / 12)
    assert found.details["unanswered"] == 6
    assert found.low < 0.5 < whole.low
    assert found.high == 1.0


def test_images_that_fired_as_a_whole_are_left_out(cache: Cache):
    client = ByRule(knows)

    found = scored(outcome_of("localisation", cache, client, about=halves(6, whole=6), images=WIDE))

    assert found.n == 6
    assert {shown(r)[0] for r in client.requests} == set(range(6))


def test_too_few_regions_leave_a_feature_unscored(cache: Cache):
    outcome = outcome_of("localisation", cache, ByRule(knows), about=halves(4, whole=6), images=WIDE)

    assert isinstance(outcome, Unscored)
    assert outcome.reason.startswith("4 held-out active images have a region smaller than the image, 5 are needed; ")
    assert "harvest --top, --per-band" in outcome.reason


def test_a_box_without_an_inside_is_no_answer(cache: Cache):
    def odd(request: Request) -> dict[str, object]:
        return box(500, 0, 500, 1000) if shown(request)[0] == 0 else knows(request)

    found = scored(outcome_of("localisation", cache, ByRule(odd), about=halves(), images=WIDE))

    assert found.details["unanswered"] == 1


def test_overlap_is_shared_over_joint_area():
    left, quarter, right, nowhere = (0, 0, 0.5, 1), (0, 0, 0.5, 0.5), (0.5, 0, 1, 1), (0, 0, 0, 0)

    found = overlaps([left, quarter, nowhere], [left, right])

    assert np.allclose(found, [[1, 0], [0.5, 0], [0, 0]])


def test_a_box_is_told_in_whole_thousandths():
    said = PointReply.model_validate({"found": True, "x0": "10", "y0": 0, "x1": 499.6, "y1": 1000})

    assert (said.x0, said.y0, said.x1, said.y1) == (10, 0, 500, 1000)


@pytest.mark.parametrize("box", [(0.01, 0.0, 0.4996, 1.0), ("0.01", "0", "0.4996", "1"), (0.01, 0, 0.4996, 1)])
def test_a_box_in_shares_of_the_image_is_scaled(box: tuple[object, ...]):
    said = PointReply.model_validate({"found": True} | dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)))

    assert (said.x0, said.y0, said.x1, said.y1) == (10, 0, 500, 1000)


@pytest.mark.parametrize(
    "box", [(0, 0, 1, 1), (0.5, 0, 700, 700), (0, 0, float("nan"), 5), (True, 0, 5, 5), ("10%", 0, 20, 20)]
)
def test_a_box_in_no_unit_or_in_two_is_refused(box: tuple[object, ...]):
    with pytest.raises(ValidationError):
        PointReply.model_validate({"found": True} | dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)))


@pytest.mark.parametrize("box", [(500, 0, 500, 10), (5, 0, 4, 10), (0, 0, 1001, 10), (0, 20, 10, 10), (-1, 0, 9, 9)])
def test_a_box_without_an_inside_or_beyond_the_image_is_refused(box: tuple[int, int, int, int]):
    with pytest.raises(ValidationError, match="is not 0 <= x0 < x1 <= 1000"):
        PointReply.model_validate({"found": True} | dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)))


def test_where_nothing_is_found_the_box_means_nothing():
    assert not PointReply.model_validate({"found": False}).found
    assert not PointReply.model_validate({"found": "false", "x0": 5, "x1": 2}).found
