"""One image is encoded as a harvest encodes it."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
from transcoder.harvest_world import COLUMNS, ROWS, Everything, PlantedBackbone, pictures, planted, source

from autointerp.dump.reader import open_dump
from autointerp.errors import ImageError
from autointerp.transcoder.harvest.run import Job, harvest
from autointerp.transcoder.harvest.state import State
from autointerp.transcoder.one_image import OneImageEncoder
from autointerp.transcoder.settings import HarvestSettings

N, L, ABOVE = 20, 6, 20.0
TABLE = planted(N, L)


def encoder(reads: str = "layer") -> OneImageEncoder:
    return OneImageEncoder(PlantedBackbone(TABLE), source(Everything(L, (L,)), reads=reads), "float32", "cpu")


def test_an_image_of_the_dump_has_the_dumps_activations_and_heat_maps(tmp_path: Path):
    population = pictures(tmp_path / "pictures", N)
    settings = HarvestSettings(n_top=N, n_silent=2, n_guided=0, n_pool=4, active_above=ABOVE)
    targets = ((source(Everything(L, (L,))), tmp_path / "dump"),)
    job = Job(PlantedBackbone(TABLE), population, targets, settings, State(tmp_path / ".state"), 7, "bytes")
    harvest(job, lambda done, of: None)

    with open_dump(tmp_path / "dump") as dump:
        rows = {(e.image, f.id): (e.activation, e.heat) for f in dump.features() for e in f.active}
        images = dump.image_table.known.ids.tolist()
        found = {
            (image, one.latent): (one.activation, one.heat)
            for image in images
            for one in encoder().encode(bytes(dump.image_source(image)), above=ABOVE, most=L).latents
        }

    assert found == rows
    assert len(rows) > N


def test_the_strongest_come_first_and_the_others_are_counted(tmp_path: Path):
    image = pictures(tmp_path, N).images[3]
    peaks = TABLE[3].max(axis=0)
    fires = np.flatnonzero(peaks > 0)

    found = encoder().encode(image.content.read(), above=0.0, most=2)

    strongest = sorted(fires.tolist(), key=lambda latent: -peaks[latent])[:2]
    assert ([one.latent for one in found.latents], found.n) == (strongest, len(fires))
    assert (found.size, found.grid) == ((40, 30), (ROWS, COLUMNS))


def test_a_coder_of_one_vector_an_image_has_no_heat_maps(tmp_path: Path):
    image = pictures(tmp_path, N).images[3]

    found = encoder("vector").encode(image.content.read(), above=0.0, most=L)

    assert found.grid is None
    assert {one.heat for one in found.latents} == {None}


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_image_is_an_image_error(data: bytes):
    with pytest.raises(ImageError):
        encoder().encode(data, above=0.0, most=1)


def test_directions_have_length_one():
    directions = encoder().directions

    assert directions is not None
    np.testing.assert_array_equal(directions, np.eye(L, dtype=np.float32))
