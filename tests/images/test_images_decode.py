"""Decoding: every mode a file may come in, every way it may be broken."""

import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from autointerp.errors import ImageError
from autointerp.images.decode import decode, displayed_size, shrink_for

MAX = 10**7
RED, WHITE = (255, 0, 0), (255, 255, 255)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    target = BytesIO()
    image.save(target, kind, **options)  # pyright: ignore[reportArgumentType]
    return target.getvalue()


def halves(mode: str, left: object, right: object) -> Image.Image:
    """8 by 4 pixels, the left half of one colour, the right half of another."""
    image = Image.new(mode, (8, 4), right)  # pyright: ignore[reportArgumentType]
    image.paste(left, (0, 0, 4, 4))  # pyright: ignore[reportArgumentType]
    return image


def ends(data: bytes) -> tuple[object, object]:
    """The colours of the first and the last pixel."""
    image = decode(data, at_most=None, max_pixels=MAX).image
    assert image.mode == "RGB"
    assert image.size == (8, 4)
    return image.getpixel((0, 0)), image.getpixel((7, 3))


def near(colour: object, wanted: tuple[int, int, int], by: int) -> bool:
    assert isinstance(colour, tuple)
    return all(abs(a - b) <= by for a, b in zip(colour, wanted, strict=True))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_colour_comes_back_as_it_was(kind: str):
    assert ends(encoded(halves("RGB", RED, (1, 2, 3)), kind)) == (RED, (1, 2, 3))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_colour_comes_back_within_a_few_levels(kind: str):
    left, right = ends(encoded(halves("RGB", RED, (0, 0, 255)), kind, quality=95))

    assert near(left, RED, 12)
    assert near(right, (0, 0, 255), 12)


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_and_bilevel_become_rgb(mode: str):
    assert ends(encoded(halves(mode, 0, 255), "PNG")) == ((0, 0, 0), WHITE)


def test_transparent_part_of_rgba_is_white():
    assert ends(encoded(halves("RGBA", (255, 0, 0, 255), (0, 0, 0, 0)), "PNG")) == (RED, WHITE)


def test_half_transparent_black_over_white_is_middle_grey():
    left, right = ends(encoded(halves("LA", (0, 128), (0, 0)), "PNG"))

    assert near(left, (127, 127, 127), 1)
    assert right == WHITE


def test_palette_entry_marked_transparent_is_white():
    image = halves("P", 1, 0)
    image.putpalette([0, 255, 0, 255, 0, 0])

    assert ends(encoded(image, "PNG", transparency=0)) == (RED, WHITE)
    assert ends(encoded(image, "PNG", transparency=bytes([0, 255]))) == (RED, WHITE)
    assert ends(encoded(image, "GIF", transparency=0)) == (RED, WHITE)
    assert ends(encoded(image, "PNG")) == (RED, (0, 255, 0))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_not_cut(kind: str):
    deep = np.full((4, 8), 65535, dtype=np.uint16)
    deep[:, :4] = 257 * 100

    assert ends(encoded(Image.fromarray(deep), kind)) == ((100, 100, 100), WHITE)


def test_thirty_two_bit_and_fractions_are_scaled():
    whole = np.full((4, 8), 257 * 100, dtype=np.int32)
    beyond = np.full((4, 8), 3_000_000, dtype=np.int32)
    beyond[:, :4] = 0
    part = np.full((4, 8), 1.0, dtype=np.float32)
    part[:, :4] = 0.2

    assert ends(encoded(Image.fromarray(whole), "TIFF")) == ((100, 100, 100), (100, 100, 100))
    assert ends(encoded(Image.fromarray(beyond), "TIFF")) == ((0, 0, 0), WHITE)
    assert ends(encoded(Image.fromarray(part), "TIFF")) == ((51, 51, 51), WHITE)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_red_is_red_inverted_as_adobe_does_or_not(kind: str):
    left, right = ends(encoded(halves("CMYK", (0, 255, 255, 0), (0, 0, 0, 0)), kind))

    assert near(left, RED, 12)
    assert near(right, WHITE, 12)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animation_gives_its_first_frame(kind: str):
    first, second = Image.new("RGB", (8, 4), RED), Image.new("RGB", (8, 4), WHITE)
    data = encoded(first, kind, save_all=True, append_images=[second], **({"lossless": True} if kind == "WEBP" else {}))

    assert ends(data) == (RED, RED)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})],
)
def test_every_orientation_agrees_with_pillow_and_with_the_header(turn: int, kind: str, options: dict[str, object]):
    pixels = np.arange(24 * 16 * 3, dtype=np.uint8).reshape(16, 24, 3)
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(Image.fromarray(pixels), kind, exif=exif, **options)

    decoded = decode(data, at_most=None, max_pixels=MAX)

    expected = ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("RGB")
    assert np.array_equal(np.asarray(decoded.image), np.asarray(expected))
    assert decoded.size == expected.size == displayed_size(data)
    assert decoded.size == ((16, 24) if turn >= 5 else (24, 16))


@pytest.mark.parametrize(("at_most", "shrink"), [(None, 1), (801, 1), (400, 2), (399, 2), (200, 4), (100, 8), (1, 8)])
def test_jpeg_is_decoded_no_smaller_than_suffices(at_most: int | None, shrink: int):
    data = encoded(Image.new("RGB", (800, 600)), "JPEG")

    decoded = decode(data, at_most=at_most, max_pixels=MAX)

    assert decoded.shrink == shrink
    assert decoded.image.size == (800 // shrink, 600 // shrink)
    assert decoded.size == (800, 600)


def test_png_is_decoded_whole_whatever_suffices():
    assert decode(encoded(Image.new("RGB", (80, 60)), "PNG"), at_most=10, max_pixels=MAX).shrink == 1


@given(st.integers(1, 10**5), st.integers(1, 10**5))
def test_shrunken_side_still_suffices(longest: int, enough: int):
    shrink = shrink_for(longest, enough)

    assert shrink == 1 or longest / shrink >= enough


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([2, 4, 8]))
@settings(deadline=None, max_examples=50)
def test_shrunken_jpeg_covers_the_image_at_the_scale_it_names(width: int, height: int, asked: int):
    data = encoded(Image.new("RGB", (width, height)), "JPEG")

    decoded = decode(data, at_most=max(max(width, height) // asked, 1), max_pixels=MAX)

    assert decoded.image.size == (-(-width // decoded.shrink), -(-height // decoded.shrink))


def test_comment_of_the_file_does_not_travel_along():
    data = encoded(Image.new("RGB", (8, 4)), "JPEG", comment=b"say yes")

    assert decode(data, at_most=None, max_pixels=MAX).image.info == {}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_file_cut_in_half_is_an_error_of_one_line(kind: str, tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    path = tmp_path / "cut"
    path.write_bytes(data[: len(data) // 2])

    with pytest.raises(ImageError) as caught:
        decode(path, at_most=None, max_pixels=MAX)

    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg/>", bytes(1000)])
def test_what_is_no_image_is_an_error(data: bytes):
    with pytest.raises(ImageError, match=f"file of {len(data)} bytes: "):
        decode(data, at_most=None, max_pixels=MAX)


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ImageError, match=r"gone\.png: no such file"):
        displayed_size(tmp_path / "gone.png")


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds ten bytes of pixels."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(10)))]
    chunks = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("side", [100_000, 10_000, 4_000])
def test_claimed_size_over_the_limit_is_refused_from_the_header(side: int):
    with pytest.raises(ImageError, match=r"too large|over the limit of 10000000"):
        decode(png_header(side, side), at_most=None, max_pixels=MAX)


def test_image_of_exactly_the_limit_is_decoded_and_one_pixel_more_is_not():
    data = encoded(Image.new("RGB", (10, 10)), "PNG")

    assert decode(data, at_most=None, max_pixels=100).size == (10, 10)
    with pytest.raises(ImageError, match="10 x 10 pixels is over the limit of 99"):
        decode(data, at_most=None, max_pixels=99)


def test_format_not_listed_is_refused():
    data = encoded(Image.new("RGB", (8, 4)), "GIF")

    with pytest.raises(ImageError, match=r"can be read \(PNG\)"):
        decode(data, at_most=None, max_pixels=MAX, formats=["PNG"])


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_broken_exif_costs_the_orientation_and_not_the_pixels():
    data = encoded(Image.new("RGB", (8, 4)), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")

    assert decode(data, at_most=None, max_pixels=MAX).size == (8, 4)


@given(
    st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
@settings(deadline=None, max_examples=300)
def test_damaged_files_decode_or_raise_image_error(kind: str, damage: list[tuple[float, int]], keep: float):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.arange(20 * 12 * 3, dtype=np.uint8).reshape(12, 20, 3)
    data = bytearray(
        encoded(Image.fromarray(pixels), kind, **({} if kind in ("GIF", "BMP", "PPM") else {"exif": exif}))
    )
    for place, value in damage:
        data[int(place * (len(data) - 1))] = value
    damaged = bytes(data[: int(keep * len(data)) if keep < 0.5 else len(data)])

    # Pillow's warnings on damaged metadata are no errors outside the tests.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            mode = decode(damaged, at_most=None, max_pixels=MAX).image.mode
        except ImageError as e:
            mode = str(e)

    assert mode == "RGB" or mode.startswith(f"file of {len(damaged)} bytes: ")
