from pathlib import Path

import numpy as np
import pytest
import torch
from standin.layered import coder, layered, red_and_blue

from autointerp.errors import SettingsError
from autointerp.populations.images import read_population
from autointerp.transcoder.backbones.headed import LOGIT, HeadedBackbone
from autointerp.transcoder.classifier import Classifier
from autointerp.transcoder.layer_substitution import MEAN, Placed, check_placed, look


class Headed(HeadedBackbone):
    """The sum of the pooled channels is the log odds."""

    def __init__(self) -> None:
        head = Classifier("linear", 3, 1)
        head.last.weight.data.fill_(1.0)
        head.last.bias.data.fill_(0.5)
        self._backbone, self._classifier, self._reads = layered(), head, "pooled"
        self.hookpoints = {**self._backbone.hookpoints, LOGIT: self._backbone.hookpoints["pooled"]}
        self.name, self.side, self.patch_grid = "layered", 4, (4, 4)


def test_a_perfect_coder_changes_nothing_a_zero_coder_leaves_the_bias_and_the_mean_one_figure(tmp_path: Path):
    population = read_population(red_and_blue(tmp_path, 7))
    mean = torch.tensor([0.1, 0.2, 0.3])
    placed = {
        name: Placed(coder(perfect=name == "perfect"), "layer.in", "layer.out", mean) for name in ("perfect", "zero")
    }

    found = look(Headed(), population.images, placed, replace_in={0, 2, 6}, batch=2, progress=lambda done, total: None)

    assert found.before.shape == (3,)
    assert found.before.std() > 0.1
    assert found.after["perfect"]["first 6 latents"] == pytest.approx(found.before, abs=1e-5)
    assert np.abs(found.after["perfect"]["first 3 latents"] - found.before).min() > 0.01
    for prefix in ("first 3 latents", "first 6 latents"):
        assert found.after["zero"][prefix].tolist() == [0.5] * 3
    assert found.after["zero"][MEAN] == pytest.approx([0.5 + 0.6] * 3)


def test_peaks_are_the_largest_positive_and_negative_part_of_each_channel(tmp_path: Path):
    population = read_population(red_and_blue(tmp_path, 5))
    placed = {"perfect": Placed(coder(perfect=True), "layer.in", "layer.out")}

    found = look(layered(), population.images, placed, replace_in=(), batch=2, progress=lambda done, total: None)

    assert found.peaks["perfect"].shape == (5, 6)
    assert len(found.before) == 0
    # Red pictures come first, and none of their pixels is as blue as a blue picture's bluest.
    red, blue = found.peaks["perfect"][:2], found.peaks["perfect"][2:]
    assert red[:, 0].min() > blue[:, 0].max()
    assert blue[:, 2].min() > red[:, 2].max()


def test_an_autoencoder_reads_the_place_that_it_replaces(tmp_path: Path):
    population = read_population(red_and_blue(tmp_path, 3))
    perfect = coder(perfect=True)
    perfect.decoders[0].data.copy_(torch.cat([torch.eye(3), -torch.eye(3)]))
    placed = {"sae": Placed(perfect, "layer.out", "layer.out", torch.zeros(3))}

    found = look(Headed(), population.images, placed, replace_in={0, 1, 2}, batch=2, progress=lambda *_: None)

    assert found.after["sae"]["first 6 latents"] == pytest.approx(found.before, abs=1e-5)


@pytest.mark.parametrize(
    ("reads", "writes", "head", "line"),
    [
        ("layer.in", "none", None, "hookpoint 'none': layered has none of that name"),
        ("layer.out", "layer.in", None, "--coder c: reads layer.out, which comes after layer.in that it replaces"),
        ("layer.in", "layer.out", "early", "--classifier: reads early, which comes before layer.out of --coder c"),
    ],
)
def test_a_coder_in_the_wrong_place_is_refused(reads: str, writes: str, head: str | None, line: str):
    with pytest.raises(SettingsError, match=line):
        check_placed(layered(), "c", Placed(coder(perfect=True), reads, writes), head)
