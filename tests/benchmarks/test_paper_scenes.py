"""Scenes of the laptop-scale recipe: what a planted error changes in the picture, and what it leaves alone."""

from random import Random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks.paper import scenes
from benchmarks.paper.cutouts import Cutout
from benchmarks.paper.rooms import SIDE, drawn_view
from benchmarks.paper.scenes import KINDS, PAIRS, Scene, draw


def thing(name: str, colour: tuple[int, int, int]) -> Cutout:
    image = Image.new("RGBA", (80, 120), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((0, 0, 79, 119), fill=(*colour, 255))
    return Cutout(name, image)


RED, BLUE = thing("red", (230, 20, 20)), thing("blue", (20, 20, 230))


def scene(kind: str, seed: int = 3) -> Scene:
    return draw([RED, BLUE] if kind in PAIRS else [RED], kind, seed)


def reds(of: Scene) -> np.ndarray:
    """Where the red thing shows; [SIDE, SIDE]."""
    pixels = np.asarray(of.image, np.int16)
    return (pixels[..., 0] > 150) & (pixels[..., 2] < 80)


def blues(of: Scene) -> np.ndarray:
    pixels = np.asarray(of.image, np.int16)
    return (pixels[..., 2] > 150) & (pixels[..., 0] < 80)


@pytest.mark.parametrize("kind", ["", *KINDS])
def test_the_same_seed_draws_the_same_pixels(kind: str):
    assert scene(kind).image.tobytes() == scene(kind).image.tobytes()
    assert scene(kind).image.tobytes() != scene(kind, seed=4).image.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_the_box_of_an_error_holds_the_thing_that_is_wrong(kind: str):
    drawn = scene(kind)

    rows, columns = np.nonzero(reds(drawn))

    assert drawn.box is not None
    x0, y0, x1, y1 = drawn.box
    assert 0 <= x0 <= columns.min() <= columns.max() < x1 <= SIDE
    assert 0 <= y0 <= rows.min() <= rows.max() < y1 <= SIDE


def test_a_sound_scene_has_no_box():
    assert scene("").box is None


def test_a_floating_thing_hangs_where_it_would_stand_and_its_shadow_stays():
    standing, floating = scene(""), scene("floating")

    foot = [np.nonzero(reds(s))[0].max() for s in (standing, floating)]

    assert 0.14 * SIDE - 1 <= foot[0] - foot[1] <= 0.22 * SIDE + 1
    below = np.asarray(standing.image, np.int16)[foot[0] + 3 :] - np.asarray(floating.image, np.int16)[foot[0] + 3 :]
    assert not below.any()


def test_without_a_shadow_nothing_but_the_shadow_is_missing():
    cast, missing = scene(""), scene("no shadow")

    lighter = np.asarray(missing.image, np.int16) - np.asarray(cast.image, np.int16)

    assert lighter.min() >= 0
    assert lighter.max() > 30
    # But for the soft rim of the thing, which lets a little of the floor through.
    assert (lighter[reds(cast)] > 0).mean() < 0.05


def leaning(of: Scene, mine: np.ndarray) -> int:
    """To which side a thing's shadow falls: -1 left, 1 right."""
    rows, columns = np.nonzero(mine)
    floor = np.asarray(of.image.convert("L"), np.int16)[rows.max() - 16 : rows.max() - 4]
    dark = floor < np.median(floor) - 15
    left = dark[:, max(0, columns.min() - 20) : columns.min() - 2].sum()
    right = dark[:, columns.max() + 3 : columns.max() + 20].sum()
    return int(np.sign(right - left))


def test_a_contradictory_shadow_falls_to_the_other_side_than_the_other_one():
    drawn = [draw([RED, BLUE], "contradictory shadow", seed) for seed in range(8)]

    sides = [(leaning(s, reds(s)), leaning(s, blues(s))) for s in drawn]

    # A shadow that falls out of the picture, or behind the other thing, leans to no side that can be seen.
    assert sum(red == -blue != 0 for red, blue in sides) >= 5
    assert not any(red == blue != 0 for red, blue in sides)


def test_a_thing_that_passes_through_is_partly_before_and_partly_behind_the_other(monkeypatch: pytest.MonkeyPatch):
    through = scene("interpenetration")
    monkeypatch.setattr(scenes, "_pass_through", lambda *_: None)
    behind = scene("interpenetration")

    shown, covered = int(reds(through).sum()), int(reds(behind).sum())

    assert through.box is not None
    x0, y0, x1, y1 = through.box
    whole = np.pi / 4 * (x1 - x0) * (y1 - y0)
    assert covered + 20 < shown < whole - 20


def test_a_doubled_part_makes_the_thing_larger_but_not_taller():
    plain, doubled = scene(""), scene("doubled part")

    assert reds(doubled).sum() > 1.1 * reds(plain).sum()
    assert np.ptp(np.nonzero(reds(doubled))[0]) <= np.ptp(np.nonzero(reds(plain))[0]) + 1


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_error_a_scene_differs_there_alone(kind: str):
    view = drawn_view(Random(5))

    on, off = (draw([RED, BLUE], kind, 11, view, planted=planted) for planted in (True, False))

    changed = np.abs(np.asarray(on.image, np.int16) - np.asarray(off.image, np.int16)).max(axis=2) > 6
    assert (on.kind, off.kind, off.box) == (kind, "", None)
    assert 20 < changed.sum() < 0.25 * SIDE * SIDE
    if kind != "interpenetration":
        # The other thing stays as it is; where one passes through, it is the other one that is covered.
        assert (blues(on) == blues(off)).mean() > 0.999
    if kind == "doubled part":
        assert (reds(on) & reds(off)).sum() > 0.97 * reds(off).sum()


def test_a_view_changes_the_room_and_not_where_things_stand():
    rooms = [drawn_view(Random(i)) for i in range(12)]

    scenes_ = [draw([RED], "", 3, view) for view in rooms]

    assert len({view.pattern for view in rooms}) >= 3
    assert len({s.image.tobytes() for s in scenes_}) == 12
    assert len({s.light for s in scenes_}) == 1
