"""Enlarging: like Pillow's Lanczos filter to a few levels, with the fast library and without."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from autointerp.images import enlarge
from autointerp.images.enlarge import enlarged
from autointerp.images.jpeg import pixels_of


def blots(width: int, height: int) -> Image.Image:
    colours = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((width, height))


@pytest.mark.parametrize("size", [(224, 224), (300, 101), (97, 80)])
def test_a_picture_is_enlarged_as_by_pillow_to_a_few_levels(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    image = blots(96, 80)
    wanted = np.asarray(image.resize(size, Image.Resampling.LANCZOS), int)

    fast = enlarged(pixels_of(image), size)[:, :, :3].astype(int)
    monkeypatch.setattr(enlarge, "fast", None)
    plain = enlarged(pixels_of(image), size)[:, :, :3]

    assert fast.shape == wanted.shape
    assert np.abs(fast - wanted).max() <= 4
    assert np.array_equal(plain, wanted)


def test_the_fourth_byte_of_a_pixel_says_nothing():
    pixels = pixels_of(blots(20, 20)).copy()
    other = pixels.copy()
    other[:, :, 3] = 0

    assert np.array_equal(enlarged(pixels, (50, 50))[:, :, :3], enlarged(other, (50, 50))[:, :, :3])


def test_threads_at_the_same_time_get_what_one_alone_gets():
    sources = [pixels_of(blots(20 + i, 30)) for i in range(8)]
    alone = [enlarged(s, (120, 90)).tobytes() for s in sources]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda s: enlarged(s, (120, 90)).tobytes(), sources * 4))

    assert together == alone * 4
