"""What a harvest takes, by formulas, beside what a small one is seen to take."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from autointerp.transcoder.activation import Encoded
from autointerp.transcoder.harvest.collector import Collector
from autointerp.transcoder.harvest.silent_sampling import draw_lot
from autointerp.transcoder.harvest.source import Source
from autointerp.transcoder.harvest.state import State
from autointerp.transcoder.settings import HarvestSettings
from benchmarks.harvest import FIGURES, PAGE, predicted, table
from benchmarks.harvest_formulas import Sizes

L, PATCHES, N = 120, 64, 960
SETTINGS = HarvestSettings(n_top=4, n_per_band=3, n_reservoir=12, n_pool=50, n_silent=10, checkpoint_every=96)
SIZES = Sizes(L, n_patches=PATCHES, d_in=4, k=5, density=0.2, settings=SETTINGS)


class Drawn:
    """A latent fires on a fifth of the images, at one of their patches; patches have up to five latents on."""

    n_latents, widths = L, (30, L)

    def __init__(self) -> None:
        self._draw = torch.Generator().manual_seed(0)

    def encode(self, inputs: Tensor, /) -> Encoded:
        values = torch.zeros(len(inputs) // PATCHES, PATCHES, 5)
        latents = torch.zeros(values.shape, dtype=torch.int64)
        for image in range(len(values)):
            on = (torch.rand(L, generator=self._draw) < 0.2).nonzero()[:, 0]
            patch, column = torch.arange(len(on)) % PATCHES, torch.arange(len(on)) // PATCHES
            values[image, patch, column] = 1 + torch.rand(len(on), generator=self._draw)
            latents[image, patch, column] = on
        return Encoded(values.flatten(0, 1), latents.flatten(0, 1))


def test_bytes_of_state_and_checkpoints_are_those_of_the_formulas(tmp_path: Path):
    lot = draw_lot(N, n_base=10, n_pool=50, seed=0)
    source = Source("drawn", Drawn(), "none", "none", "drawn", "")
    gathered = Collector(source, SETTINGS, lot, above=0.5, shape=(PATCHES, 4), folder=tmp_path, name="0")
    state, written, changes = State(tmp_path), list[int](), list[int]()
    for start in range(0, N, 96):
        gathered.add(np.arange(start, start + 96), torch.zeros(96, PATCHES, 4), np.zeros(96, np.bool_))
        changes.append(gathered.sizes()[1])
        state.commit(start + 96, [gathered])
        new = max(tmp_path.glob("*-*/0.npz"), key=lambda path: int(path.parent.name.split("-")[-1]))
        written.append(new.stat().st_size)
    gathered.close()

    # The pool's extents, 16 bytes an image, are a part of it too.
    assert gathered.sizes()[0] == SIZES.state() + 16 * 50
    predicted = [SIZES.change(start, start + 96) for start in range(0, N, 96)]
    assert np.allclose(changes, predicted, rtol=0.1, atol=16 * 50)
    # When the changes are too many, by a little, one checkpoint more or less is a whole one.
    assert abs(sum(written) - sum(SIZES.checkpoints(N))) <= SIZES.state()
    pool, vectors = ((tmp_path / f"0-{name}").stat().st_size for name in ("pool.float32", "vectors.float16"))
    assert (pool, vectors) == SIZES.beside(N)[:2]


def test_images_that_a_latent_keeps_are_those_of_its_places():
    # 16 places are full after 80 images; then the m-th image that fires it is kept with chance 16/m.
    assert SIZES.slots == 16
    assert SIZES.kept(0, 40) == pytest.approx((8, 0))
    assert SIZES.kept(0, 80) == pytest.approx((16, 0))
    m = np.arange(17, 161)
    assert SIZES.kept(80, 800) == pytest.approx((0, (16 / m).sum()), rel=0.03)


def test_the_page_shows_what_was_measured_last():
    told = json.loads(FIGURES.read_text())

    found = {int(n): values for n, values in told["measured"].items()}

    assert table(found) in PAGE.read_text()
    assert list(found) == [2048, 16_384, 65_536]


def test_formulas_are_near_what_was_measured():
    found = {int(n): values for n, values in json.loads(FIGURES.read_text())["measured"].items()}

    for n_latents, values in found.items():
        formulas = predicted(n_latents)
        for name in ("whole", "last", "beside"):
            assert formulas[name] == pytest.approx(values[name], rel=0.06)
        # When the changes are too many, by a little, one checkpoint more or less is a whole one.
        assert abs(formulas["written"] - values["written"]) <= 1.02 * values["whole"]
        for name in ("first", "later", "encode"):
            assert formulas[name] == pytest.approx(values[name], rel=0.4)
