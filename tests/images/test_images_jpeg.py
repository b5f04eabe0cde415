"""JPEGs read by libjpeg-turbo are what Pillow reads, to the bit; what is odd is left to Pillow."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from autointerp.images.decode import decode, decode_plainly
from autointerp.images.jpeg import decoded, encoded, image_of, pixels_of, plain_size


def blots(width: int, height: int, mode: str = "RGB") -> Image.Image:
    colours = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((width, height)).convert(mode)


def jpeg(image: Image.Image, **options: object) -> bytes:
    target = BytesIO()
    image.save(target, "JPEG", **options)  # pyright: ignore[reportArgumentType]
    return target.getvalue()


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.sampled_from(["RGB", "L"]),
    st.integers(0, 2),
    st.booleans(),
    st.sampled_from([1, 2, 4, 8]),
)
@settings(deadline=None)
def test_pixels_are_those_of_pillow(
    width: int, height: int, mode: str, colours: int, several_passes: bool, shrink: int
):
    data = jpeg(blots(width, height, mode), quality=90, subsampling=colours, progressive=several_passes)

    made = decode(data, at_most=max(max(width, height) // shrink, 1))

    plain = Image.open(BytesIO(data))
    plain.draft(None, (max(width // made.shrink, 1), max(height // made.shrink, 1)))
    assert made.image.tobytes() == plain.convert("RGB").tobytes()


@pytest.mark.parametrize("at_most", [300, 150, 75, 30, 1])
def test_a_photograph_read_without_pillow_has_the_same_pixels_and_scale(at_most: int):
    data = jpeg(blots(300, 201))

    fast, slow = decode_plainly(data, at_most=at_most), decode(data, at_most=at_most)

    assert fast is not None
    assert (fast.size, fast.shrink) == (slow.size, slow.shrink)
    assert image_of(fast.image).tobytes() == slow.image.tobytes()
    assert fast.nbytes == slow.nbytes


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(blots(40, 30), exif=exif)


@pytest.mark.parametrize(
    "data",
    [
        turned(),
        jpeg(blots(40, 30, "CMYK")),
        jpeg(blots(40, 30), xmp=b'<x tiff:Orientation="6"/>'),
        jpeg(blots(40, 30))[:400],
        b"\xff\xd8 no image",
        b"",
        jpeg(blots(40, 30)).replace(b"\xff\xc0", b"\xff\xc9"),
    ],
    ids=["turned", "cmyk", "xmp", "cut", "no image", "empty", "arithmetic"],
)
def test_what_is_odd_is_left_to_pillow(data: bytes):
    assert decode_plainly(data, at_most=10**6) is None


def test_an_image_over_the_limit_of_pixels_is_left_to_pillow_which_says_so():
    data = jpeg(blots(40, 30))

    assert plain_size(data) == (40, 30)
    assert decode_plainly(data, at_most=40, max_pixels=1199) is None
    assert decode_plainly(data, at_most=40, max_pixels=1200) is not None


def test_a_file_of_another_size_than_expected_gives_nothing():
    assert decoded(jpeg(blots(40, 30)), (41, 30), 1) is None


def test_an_encoded_picture_is_a_jpeg_near_the_original():
    image = blots(80, 60)

    again = Image.open(BytesIO(encoded(pixels_of(image), 95)))

    assert (again.format, again.mode, again.size) == ("JPEG", "RGB", (80, 60))
    assert np.abs(np.asarray(again, int) - np.asarray(image, int)).mean() < 3


@pytest.mark.parametrize("side", [1, 50, 2100])
def test_pixels_and_image_are_the_same_bytes_also_where_pillow_divides_its_memory(side: int):
    # 2100 x 2100 pixels of four bytes are more than the 16 MB that Pillow takes in one piece.
    image = blots(side, side)

    pixels = pixels_of(image)

    assert pixels.shape == (side, side, 4)
    assert np.array_equal(pixels[:, :, :3], np.asarray(image))
    assert image_of(pixels).tobytes() == image.tobytes()


def test_writing_to_an_image_leaves_the_pixels_under_it_as_they_are():
    pixels = pixels_of(blots(8, 8)).copy()
    before = pixels.copy()

    image_of(pixels).putpixel((0, 0), (1, 2, 3))

    assert np.array_equal(pixels, before)
