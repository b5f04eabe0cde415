"""Heat maps of crops, on the whole picture; and JPEGs, decoded no smaller than a model's input."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from autointerp.dump.reader import open_dump
from autointerp.populations.images import read_population
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.preparation import Preparation
from autointerp.transcoder.backbones.protocol import Frame
from autointerp.transcoder.backbones.taps import Tap
from autointerp.transcoder.batches import prepared_batches
from autointerp.transcoder.harvest.framing import over_the_whole
from autointerp.transcoder.harvest.run import Job, harvest
from autointerp.transcoder.harvest.source import load_sources
from autointerp.transcoder.harvest.state import State
from autointerp.transcoder.settings import HarvestSettings

PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def pixel_by_pixel(heat: np.ndarray, grid: tuple[int, int], size: tuple[int, int], frame: Frame) -> np.ndarray:
    """The same map by painting 8 x 8 points a pixel and averaging them in each cell."""
    fine = 8
    left, top, right, bottom = frame.seen(size)
    width, height = size[0] * fine, size[1] * fine
    canvas = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            across, down = ((x + 0.5) / fine - left) / (right - left), ((y + 0.5) / fine - top) / (bottom - top)
            if 0 <= across < 1 and 0 <= down < 1:
                canvas[y, x] = heat[int(down * grid[0]) * grid[1] + int(across * grid[1])]
    rows, columns = np.array_split(np.arange(height), grid[0]), np.array_split(np.arange(width), grid[1])
    cells = np.array([[canvas[np.ix_(r, c)].mean() for c in columns] for r in rows])
    return np.round(255 * cells / cells.max()).ravel()


@pytest.mark.parametrize("size", [(24, 12), (12, 30), (18, 12), (12, 12)])
def test_a_map_of_a_crop_lies_where_the_crop_was(size: tuple[int, int]):
    grid, frame = (3, 3), Frame(8, 10)
    heat = np.random.default_rng(size[0]).integers(0, 256, 9).astype(np.uint8)

    found = over_the_whole(heat, grid, size, frame)

    assert np.abs(found.astype(float) - pixel_by_pixel(heat, grid, size, frame)).max() <= 6


def test_half_of_a_wide_picture_is_seen_and_half_is_dark():
    heat = np.array([255, 0, 0, 51], np.uint8)

    # Columns 12 to 36 of 48 are seen: each half of the picture has one column of the crop, half of it.
    assert over_the_whole(heat, (2, 2), (48, 24), Frame(24, 24)).tolist() == [255, 0, 0, 51]
    wide = over_the_whole(np.repeat(heat, 4)[[0, 0, 4, 4] * 2 + [8, 8, 12, 12] * 2], (4, 4), (48, 24), Frame(24, 24))
    assert wide.reshape(4, 4).tolist() == [[0, 255, 0, 0], [0, 255, 0, 0], [0, 0, 51, 0], [0, 0, 51, 0]]


def test_all_of_a_stretched_picture_keeps_its_map():
    heat = np.arange(9, dtype=np.uint8)

    assert over_the_whole(heat, (3, 3), (50, 20), Frame(8)) is heat


class Reds(nn.Module):
    """One patch of 8 x 8 pixels a token, of which the first channel is the mean of red less green."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 8, 8, bias=False)
        self.conv.weight.data[:] = torch.tensor([1.0, -1.0, 0.0]).reshape(1, 3, 1, 1) / 64

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.conv(batch)


def test_boxes_and_maps_of_a_dump_lie_on_the_whole_picture(tmp_path: Path):
    images = tmp_path / "images"
    images.mkdir()
    where = {}
    for i in range(8):
        picture = Image.new("RGB", (320, 160), "gray")
        # Within the middle square, which begins at column 80.
        left, top = 96 + 16 * i, 32 + 8 * i
        picture.paste("red", (left, top, left + 20, top + 20))
        picture.save(images / f"{i}.png")
        where[i] = (left + 10, top + 10)
    prepare = Preparation(64, *PLAIN, Image.Resampling.BOX, shortest=64)
    taps = {"red": Tap("", "output")}
    backbone = ModuleBackbone("reds", Reds(), prepare, taps=taps, side=64, patch_grid=(8, 8))
    settings = HarvestSettings(n_top=8, n_silent=0, n_guided=0, active_above=0.05)
    sources = load_sources(["raw:red"], {}, backbone, "cpu")
    target = tmp_path / "dump"

    harvest(
        Job(
            backbone=backbone,
            population=read_population(images),
            targets=((sources[0], target),),
            settings=settings,
            state=State(tmp_path / "state"),
            batch=4,
            store="bytes",
        ),
        lambda done, total: None,
    )

    with open_dump(target) as dump:
        rows = dump.feature(0).active
        assert len(rows) == 8
        for row in rows:
            x, y = where[row.image]
            assert row.box is not None
            assert row.box.x0 <= x < row.box.x1
            assert row.box.y0 <= y < row.box.y1
            assert row.box.x1 - row.box.x0 <= 110
            assert row.heat is not None
            column, line = divmod(int(np.argmax(np.frombuffer(row.heat, np.uint8))), 8)[::-1]
            # A cell is 40 x 20 pixels; the brightest one is the square's or next to it.
            assert abs(column - x / 40 + 0.5) <= 1
            assert abs(line - y / 20 + 0.5) <= 1


@pytest.mark.parametrize("prepare", [Preparation(224), Preparation(224, shortest=256)])
def test_a_jpeg_is_not_decoded_to_less_than_the_input(prepare: Preparation, tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (47, 63, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((500, 375)).save(tmp_path / "a.jpg", quality=90)
    taps = {"red": Tap("", "output")}
    backbone = ModuleBackbone("reds", Reds(), prepare, taps=taps, side=224, patch_grid=(28, 28))

    ((_, pixels),) = prepared_batches(backbone, read_population(tmp_path).images, size=1)

    # Of 375 pixels half are fewer than 224, so that the file is decoded whole.
    assert torch.equal(pixels[0], prepare(Image.open(tmp_path / "a.jpg")))


def test_a_large_jpeg_is_still_decoded_at_a_half(tmp_path: Path):
    Image.new("RGB", (1000, 750), "teal").save(tmp_path / "a.jpg")
    seen: list[tuple[int, int]] = []

    class Telling(ModuleBackbone):
        def prepare(self, image: Image.Image) -> torch.Tensor:
            seen.append(image.size)
            return super().prepare(image)

    taps = {"red": Tap("", "output")}
    backbone = Telling("reds", Reds(), Preparation(224), taps=taps, side=224, patch_grid=(28, 28))

    list(prepared_batches(backbone, read_population(tmp_path).images, size=1))

    assert seen == [(500, 375)]
