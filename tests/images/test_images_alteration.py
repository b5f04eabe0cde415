"""Pictures made of images: which pixels they have, by hand."""

from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from autointerp.images.alteration import Source, altered, crop, erased, harmonic, pasted, whole
from autointerp.images.decode import Decoded
from autointerp.schema import Box

needs_scipy = pytest.mark.skipif(find_spec("scipy") is None, reason="inpainting comes with the extra train")
SIZE = (8, 6)
BOX = Box(2, 2, 5, 4)


def gradient():
    """Red grows by 10 a column, green by 20 a row, and blue is the same everywhere."""
    y, x = np.mgrid[0:6, 0:8]
    return np.stack([10 * x, 20 * y, np.full_like(x, 50)], axis=-1).astype(np.uint8)


IMAGES = {1: gradient(), 2: np.full((12, 16, 3), 200, np.uint8)}


def read(source, at_most):
    image = Image.fromarray(IMAGES[source.image])
    return Decoded(image, image.size, 1)


def source(number):
    rows, columns, _ = IMAGES[number].shape
    return Source(number, f"{number:064x}", (columns, rows))


def made(what):
    return np.asarray(altered(what, read, max), np.int64)


def outside(box, shape):
    mask = np.ones(shape[:2], bool)
    mask[box.y0 : box.y1, box.x0 : box.x1] = False
    return mask


def test_the_whole_image_is_as_it_was():
    assert (made(whole(source(1))) == IMAGES[1]).all()


def test_a_crop_is_the_region_alone():
    assert (made(crop(source(1), BOX)) == IMAGES[1][2:4, 2:5]).all()


INPAINT = pytest.param("inpaint", marks=needs_scipy)


@pytest.mark.parametrize("how", ["mean", "blur", INPAINT])
def test_nothing_outside_the_region_changes(how):
    found = made(erased(source(1), BOX, how))

    kept = outside(BOX, found.shape)
    assert (found[kept] == IMAGES[1][kept]).all()
    assert (found[~kept] != IMAGES[1][~kept]).any() or how != "mean"


def test_the_mean_is_that_of_the_pixels_around_the_region():
    found = made(erased(source(1), BOX, "mean"))

    ring = outside(BOX, found.shape)
    ring[:1], ring[5:], ring[:, :1], ring[:, 6:] = False, False, False, False
    assert (found[2:4, 2:5] == np.round(IMAGES[1][ring].mean(axis=0)).astype(int)).all()


@needs_scipy
def test_inpainting_a_gradient_gives_the_gradient_back():
    found = made(erased(source(1), BOX, "inpaint"))

    assert np.abs(found - IMAGES[1]).max() <= 1


@needs_scipy
def test_each_filled_pixel_is_the_mean_of_its_neighbours():
    rng = np.random.default_rng(0)
    pixels, hole = rng.uniform(0, 255, (7, 9, 3)), np.zeros((7, 9), bool)
    hole[0:4, 5:9] = True  # it meets two edges of the image

    found = harmonic(pixels, hole)

    assert (found[~hole] == pixels[~hole]).all()
    for y, x in zip(*np.nonzero(hole), strict=True):
        near = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        there = [found[a, b] for a, b in near if 0 <= a < 7 and 0 <= b < 9]
        assert found[y, x] == pytest.approx(np.mean(there, axis=0))


def test_a_pasted_region_is_brought_to_the_size_of_its_place():
    found = made(pasted(source(1), BOX, source(2), Box(4, 4, 10, 8)))

    assert (found[outside(Box(4, 4, 10, 8), found.shape)] == 200).all()
    assert found[4:8, 4:10, 0].min() >= 15
    assert found[4:8, 4:10, 0].max() <= 45
    assert found.shape == (12, 16, 3)


def test_an_image_that_was_decoded_at_half_its_size_loses_the_same_region():
    half = Image.fromarray(np.full((3, 4, 3), 9, np.uint8))
    half.paste((90, 90, 90), (1, 1, 2, 2))

    found = altered(erased(source(1), Box(2, 2, 4, 4), "mean"), lambda *_: Decoded(half, SIZE, 2), max)

    assert (np.asarray(found) == 9).all()


def test_a_digest_tells_what_decides_the_pixels_and_not_the_images_number():
    same = Source(7, source(1).sha256, SIZE)
    digests = {
        crop(source(1), BOX).digest,
        crop(source(1), Box(2, 2, 5, 5)).digest,
        erased(source(1), BOX, "mean").digest,
        pasted(source(1), BOX, source(2), BOX).digest,
        whole(source(2)).digest,
    }

    assert len(digests) == 5
    assert crop(same, BOX).digest == crop(source(1), BOX).digest
