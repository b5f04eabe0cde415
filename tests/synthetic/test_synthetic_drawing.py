import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from autointerp.schema import Box
from autointerp.synthetic.drawing import COLOURS, SIDE, boxes_of, draw, jpeg_of
from autointerp.synthetic.scenes import VALUES, Scene, Thing, draw_scenes

SQUARE = Thing("square", "red", "large", "middle", "bottom", "plain", "resting")
EMPTY = np.asarray(draw(Scene((), "grey", 0)), int)


def alone(**changes: str) -> tuple[np.ndarray, Box]:
    """The pixels of one object on the grey ground, and its box."""
    scene = Scene((replace(SQUARE, **changes),), "grey", 0)
    return np.asarray(draw(scene), int), boxes_of(scene)[0]


def darkening(pixels: np.ndarray, y: int, x: int) -> int:
    """By how much a pixel is darker than the empty ground there."""
    return int((EMPTY - pixels)[y, x].max())


@pytest.mark.parametrize("colour", VALUES["colour"])
def test_an_object_has_the_colour_of_its_name(colour: str):
    pixels, box = alone(colour=colour)

    middle = pixels[(box.y0 + box.y1) // 2, (box.x0 + box.x1) // 2]
    assert np.abs(middle - COLOURS[colour]).max() < 12


@pytest.mark.parametrize("shape", VALUES["shape"])
def test_every_shape_fills_its_box_from_side_to_side_and_down_to_its_foot(shape: str):
    pixels, box = alone(shape=shape, shadow="missing")

    rows, columns = np.nonzero(np.abs(pixels - EMPTY).max(axis=2) > 40)
    assert abs(columns.min() - box.x0) <= 3
    assert abs(columns.max() + 1 - box.x1) <= 3
    assert abs(rows.max() + 1 - box.y1) <= 2


def test_no_two_shapes_look_the_same():
    masks = {np.abs(alone(shape=s, shadow="missing")[0] - EMPTY).max(axis=2).tobytes() for s in VALUES["shape"]}

    assert len(masks) == 7


def test_a_missing_shadow_leaves_the_ground_as_it_was():
    pixels, box = alone(shadow="missing")

    pixels[box.y0 : box.y1, box.x0 : box.x1] = EMPTY[box.y0 : box.y1, box.x0 : box.x1]
    assert np.array_equal(pixels, EMPTY)


def test_a_resting_object_touches_its_shadow():
    pixels, box = alone(shadow="resting")

    assert darkening(pixels, box.y1 + 1, (box.x0 + box.x1) // 2) > 60


def test_a_floating_object_hangs_with_a_gap_above_its_shadow():
    pixels, box = alone(shadow="floating")
    _, resting = alone(shadow="resting")
    middle = (box.x0 + box.x1) // 2

    assert resting.y1 - box.y1 == 28
    assert darkening(pixels, box.y1 + 4, middle) == 0
    assert darkening(pixels, resting.y1, middle) > 60


def test_a_texture_lightens_part_of_the_object():
    for texture in ("striped", "dotted", "checkered"):
        pixels, box = alone(texture=texture)
        inside = pixels[box.y0 + 6 : box.y1 - 6, box.x0 + 6 : box.x1 - 6, 1]
        light = np.mean(inside > 150)
        assert 0.2 < light < 0.6, texture
    plain, box = alone()
    assert plain[box.y0 + 6 : box.y1 - 6, box.x0 + 6 : box.x1 - 6, 1].max() < 80


def test_objects_stay_in_the_picture_and_apart():
    for scene in draw_scenes(500, 0):
        boxes = boxes_of(scene)
        for i, a in enumerate(boxes):
            assert 0 <= a.x0 < a.x1 <= SIDE
            assert 0 <= a.y0 < a.y1 <= SIDE
            for b in boxes[:i]:
                assert a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0, scene.text


def test_the_same_scene_gives_the_same_file():
    scene = draw_scenes(1, 0).scene(0)

    with Image.open(io.BytesIO(jpeg_of(scene))) as image:
        assert (image.format, image.size) == ("JPEG", (256, 256))
    assert jpeg_of(scene) == jpeg_of(scene)
    assert jpeg_of(scene) != jpeg_of(replace(scene, nuisance=scene.nuisance + 1))
