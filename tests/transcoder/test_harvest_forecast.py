from pathlib import Path

import pytest

from autointerp.images.content import OwnFile
from autointerp.images.near_duplicates import Look
from autointerp.populations.images import PopulationImage
from autointerp.transcoder.harvest.forecast import Forecast, forecast
from autointerp.transcoder.settings import HarvestSettings

SETTINGS = HarvestSettings(n_top=2, n_bands=1, n_per_band=1, n_silent=4, n_guided=6, n_pool=10)


def images(folder: Path, n: int) -> list[PopulationImage]:
    """Files of 1,000 and 3,000 bytes in turn."""
    for i in range(n):
        (folder / f"{i}.png").write_bytes(bytes(1000 + i % 2 * 2000))
    look = Look(0, b"")
    files = [OwnFile(folder / f"{i}.png") for i in range(n)]
    return [PopulationImage(i, file.path.name, file, 8, 8, "", None, None, None, look) for i, file in enumerate(files)]


def test_pool_and_rows_are_counted_where_each_draw_meets_another_image(tmp_path: Path):
    # One latent draws 3 of 100 images, 90 of which are not in the pool: 10 + 90 · (1 - 0.99³) = 12.673.
    found = forecast(images(tmp_path, 100), [1], SETTINGS, 16)

    # 3 rows of 40 + 16 bytes, 10 silent ones of 16, 10 on the pool of 8, and 12.673 images of 200.
    assert (found.n_images, found.paths) == (13, round(168 + 160 + 80 + 12.673 * 200))
    assert found.files - found.paths == pytest.approx(12.673 * 2000, abs=2)


def test_a_dump_holds_no_more_images_than_there_are(tmp_path: Path):
    found = forecast(images(tmp_path, 6), [4000, 50], SETTINGS, 0)

    assert found.n_images == 6
    assert found.files - found.paths == 2 * 6 * 2000


def test_it_is_said_in_one_line():
    assert str(Forecast(1234, 2_000_000, 3_100_000_000)) == (
        "a dump will hold at most 1,234 images and take 2.0 MB with --store paths, which leaves the images where they "
        "are, or 3.1 GB with --store bytes; it is much smaller where most latents fire seldom"
    )
