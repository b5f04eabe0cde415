"""The fast libraries draw what Pillow draws: the same to the eye, by structural similarity."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import autointerp.demo
from autointerp.dump.reader import open_dump
from autointerp.images import enlarge, renderer
from autointerp.images.jpeg import Pixels, image_of
from autointerp.images.picture import Picture, Tile
from autointerp.images.renderer import Renderer
from autointerp.schema import Box

Floats = npt.NDArray[np.float64]
WINDOW = 7


def means(values: Floats) -> Floats:
    """Of each WINDOW x WINDOW pixels."""
    sums = np.pad(values, ((1, 0), (1, 0), (0, 0))).cumsum(0).cumsum(1)
    rows = sums[WINDOW:] - sums[:-WINDOW]
    return (rows[:, WINDOW:] - rows[:, :-WINDOW]) / WINDOW**2


def similarity(one: Floats, other: Floats) -> float:
    """Mean SSIM of two pictures, [height, width, 3], 0 to 255 (Wang et al. 2004, equation 13, flat windows)."""
    mean, mean_other = means(one), means(other)
    variance, variance_other = means(one**2) - mean**2, means(other**2) - mean_other**2
    both = means(one * other) - mean * mean_other
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    light = (2 * mean * mean_other + c1) / (mean**2 + mean_other**2 + c1)
    return float((light * (2 * both + c2) / (variance + variance_other + c2)).mean())


def by_pillow(pixels: Pixels, quality: int) -> bytes:
    target = BytesIO()
    image_of(pixels).save(target, "JPEG", quality=quality)
    return target.getvalue()


@pytest.fixture
def pictures() -> list[Picture]:
    """Photographs of the demo dump: as they are, enlarged crops, and a sheet."""
    dump = open_dump(Path(autointerp.demo.__file__).parent / "dump")
    rows = dump.images(dump.image_table.known.ids[:12].tolist())
    whole = [Tile(row.image, row.sha256, (row.width, row.height), "full", None) for row in rows]
    crops = [replace(t, rendering="crop", box=Box(60, 50, 160, 140)) for t in whole]
    alone = [Picture((t,), 448, 85, least=224) for t in (*whole, *crops)]
    return [*alone, Picture(tuple(whole), 224, 85, 4, least=224)]


@pytest.fixture
def drawing() -> Iterator[Renderer]:
    dump = open_dump(Path(autointerp.demo.__file__).parent / "dump")
    with closing(Renderer(dump.image_source, workers=1, decoded_mb=0, encoded_mb=0, max_pixels=10**7)) as made:
        yield made


def opened(jpeg: bytes) -> Floats:
    return np.asarray(Image.open(BytesIO(jpeg)), np.float64)


def test_pictures_are_as_pillow_makes_them_to_the_eye(
    pictures: list[Picture], drawing: Renderer, monkeypatch: pytest.MonkeyPatch
):
    fast = [opened(drawing.jpeg_now(p)) for p in pictures]
    monkeypatch.setattr(enlarge, "fast", None)
    monkeypatch.setattr(renderer, "encoded", by_pillow)
    plain = [opened(drawing.jpeg_now(p)) for p in pictures]

    found = [similarity(a, b) for a, b in zip(fast, plain, strict=True)]
    assert [a.shape for a in fast] == [b.shape for b in plain]
    assert np.mean(found) > 0.99
    assert min(found) > 0.985
