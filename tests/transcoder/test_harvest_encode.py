import numpy as np
import torch
from torch import Tensor

from autointerp.transcoder.activation import Encoded
from autointerp.transcoder.harvest.encode import entries_of, heats_of, peaks_of


class Dense:
    n_latents = 3
    widths = (3,)

    def encode(self, inputs: Tensor, /) -> Encoded:
        return Encoded(inputs, torch.arange(3).expand_as(inputs))


class Strongest(Dense):
    def encode(self, inputs: Tensor, /) -> Encoded:
        found = inputs.max(dim=1, keepdim=True)
        return Encoded(found.values, found.indices)


# Two images of two patches and three latents.
TOKENS = torch.tensor([[[1.0, 0, 4], [2, 0, 1]], [[0, -3, 0], [0, 6, 2]]])


def test_a_peak_is_the_maximum_over_the_patches_and_nothing_is_below_zero():
    peaks = peaks_of(entries_of(Dense(), "dense", TOKENS), 2, 3)

    assert peaks.tolist() == [[2, 0, 4], [0, 6, 2]]


def test_what_a_sparse_coder_leaves_out_is_zero():
    peaks = peaks_of(entries_of(Strongest(), "sparse", TOKENS), 2, 3)

    assert peaks.tolist() == [[2, 0, 4], [0, 6, 0]]


def test_a_heat_map_is_relative_to_its_images_maximum():
    entries = entries_of(Dense(), "dense", TOKENS)

    maps = heats_of(entries, (2, 2, 3), np.array([0, 0, 1]), np.array([2, 0, 1]))

    assert maps.tolist() == [[255, 64], [128, 255], [0, 255]]
